"""What a text must follow, a grammar or a JSON schema, and how far one has come, by llguidance.

What bounds the work for a token counts steps and not time, so that a seed repeats.
"""

import re
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from ...nn.errno import NnErrno
from ..errors import GgmlError
from ..llama.vocabulary import Tokens, Vocabulary
from ..metadata.parse import Settings
from .gbnf import GrammarError
from .lark import lark
from .schema import blamed, grammar_of_schema

if TYPE_CHECKING:  # it takes 6 MB, and most servers see no grammar
    from llguidance import LLMatcher, LLTokenizer

LIMITS: dict[str, Any] = {
    "max_items_in_row": 2000,
    "initial_lexer_fuel": 1_000_000,
    "step_lexer_fuel": 200_000,
    "step_max_items": 50_000,
    "max_lexer_states": 50_000,
    "max_grammar_size": 200_000,
    "precompute_large_lexemes": False,
    "verbose_errors": False,
}
"""Of fuel, 14,000 take about a millisecond, of items 20,000; a state has one or two kilobytes.

Each property that need not be there takes four items of a row.
"""
_COMPILER = "failed to compile JSON schema: "
_LISTING = re.compile(r"\n *\d+ \| ")
"""How llguidance begins to print a grammar."""

_tokenizers: WeakKeyDictionary[Vocabulary, "LLTokenizer"] = WeakKeyDictionary()
_building = threading.Lock()


@dataclass(frozen=True)
class Constraint:
    """What the metadata ``key`` says that a text must follow."""

    key: str
    text: str

    @classmethod
    def of(cls, settings: Settings) -> "Constraint | None":
        """What ``settings`` ask for, None for nothing; a JSON schema wins over a grammar."""
        for key in ("json-schema", "grammar"):
            if settings[key]:
                return cls(key, settings[key])
        return None

    def refused(self, why: str) -> GgmlError:
        """The error of one that cannot be used."""
        return GgmlError(
            NnErrno.INVALID_ARGUMENT, f"the option {self.key} cannot be used: {why:.300}"
        )


class Matcher:
    """How far a text of ``vocabulary`` has come in what it must follow.

    Raises GgmlError for a constraint that cannot be used.
    """

    def __init__(self, constraint: Constraint, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._mask = np.zeros((vocabulary.size + 31) // 32, dtype=np.uint32)
        try:
            self._matcher = _compiled(constraint, vocabulary)
        except GrammarError as error:
            raise constraint.refused(str(error)) from None

    @property
    def failure(self) -> str:
        """Why no token can follow any more, "" if llguidance did not fail."""
        return _failure(self._matcher)

    def follows(self, token: int) -> bool:
        """Whether ``token`` can come next; if so, the text goes on behind it."""
        if self._vocabulary.is_end(token):
            return bool(self._matcher.is_accepting())
        return bool(self._matcher.try_consume_tokens([token]))

    def allowed(self) -> Tokens:
        """The tokens that can come next, in order; of a text that is forced, the usual one."""
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        if self.failure:
            return np.zeros(0, dtype=np.int32)
        bits = np.unpackbits(self._mask.view(np.uint8), bitorder="little")
        return np.flatnonzero(bits[: self._vocabulary.size]).astype(np.int32)


def check(constraint: Constraint, vocabulary: Vocabulary) -> None:
    """Raise GgmlError if ``constraint`` cannot be used; of a schema, a keyword is named."""
    why = _refusal(constraint, vocabulary)
    if why and constraint.key == "json-schema":
        why = blamed(
            constraint.text, why, lambda text: _refusal(replace(constraint, text=text), vocabulary)
        )
    if why:
        raise constraint.refused(why)


def _refusal(constraint: Constraint, vocabulary: Vocabulary) -> str:
    """Why ``constraint`` cannot be used, "" if it can."""
    try:
        matcher = _compiled(constraint, vocabulary)
    except GrammarError as error:
        return str(error)
    matcher.compute_bitmask()
    return _failure(matcher)


def _compiled(constraint: Constraint, vocabulary: Vocabulary) -> "LLMatcher":
    """llguidance's matcher of ``constraint``. Raises GrammarError."""
    from llguidance import LLMatcher, LLParserLimits

    if constraint.key == "grammar":
        grammar = lark(constraint.text, vocabulary)
    else:
        grammar = grammar_of_schema(constraint.text)
    matcher = LLMatcher(
        _tokenizer(vocabulary), grammar, log_level=0, limits=LLParserLimits(**LIMITS)
    )
    if why := _failure(matcher):
        raise GrammarError(why)
    return matcher


def _failure(matcher: "LLMatcher") -> str:
    """What llguidance says, without what it prints of the grammar and of its own state."""
    said = matcher.get_error().partition("\n<")[0]
    if said.startswith("NoExtension"):
        return "no token can follow"
    said = _LISTING.split(said.rpartition(_COMPILER)[2])[0]
    return " ".join(said.split())


def _tokenizer(vocabulary: Vocabulary) -> "LLTokenizer":
    """llguidance's view of ``vocabulary``, which takes a second to build and is kept with it."""
    from llguidance import LLTokenizer

    with _building:
        tokenizer = _tokenizers.get(vocabulary)
        if tokenizer is None:
            pieces = _Pieces(vocabulary)
            tokenizer = LLTokenizer(pieces, eos_token=pieces.ends)  # type: ignore[arg-type]
            _tokenizers[vocabulary] = tokenizer
    return tokenizer


class _Pieces:
    """A vocabulary as llguidance asks for it.

    It would have text that is forced tokenised, but nothing is forced.
    """

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.tokens = [vocabulary.piece(token) for token in range(vocabulary.size)]
        self.special_token_ids = [each.token for each in vocabulary.specials if each.control]
        self.ends = vocabulary.ends
        if not self.ends:
            self.ends = [vocabulary.size]
            self.special_token_ids.append(vocabulary.size)
            self.tokens.append(b"end")
        self.eos_token_id = self.ends[0]

    def __call__(self, text: str | bytes) -> list[int]:
        raise NotImplementedError
