"""What a text must follow, a grammar or a JSON schema, and how far one has come, by llguidance.

What bounds the work for a token counts steps and not time, so that a seed repeats.
"""

import ctypes
import threading
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import llama_cpp
import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from ...nn.errno import ErrNo
from ..errors import GgmlError
from ..llama.vocabulary import Tokens, Vocabulary
from ..metadata.parse import Settings
from .gbnf import GrammarError
from .lark import lark
from .schema import grammar_of_schema

LIMITS = LLParserLimits(
    max_items_in_row=500,
    initial_lexer_fuel=1_000_000,
    step_lexer_fuel=200_000,
    step_max_items=50_000,
    max_lexer_states=50_000,
    max_grammar_size=200_000,
    precompute_large_lexemes=False,
    verbose_errors=False,
)
"""Of fuel, 14,000 take about a millisecond, of items 20,000; a state has one or two kilobytes."""
_COMPILER = "failed to compile JSON schema: "
_SPECIAL = b"\xff"
"""What llguidance knows a token by that no text is."""

_tokenizers: WeakKeyDictionary[Vocabulary, LLTokenizer] = WeakKeyDictionary()
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
            ErrNo.INVALID_ARGUMENT, f"the option {self.key} cannot be used: {why:.300}"
        )


class Matcher:
    """How far a text of ``vocabulary`` has come in what it must follow.

    Raises GgmlError for a constraint that cannot be used.
    """

    def __init__(self, constraint: Constraint, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        try:
            if constraint.key == "grammar":
                grammar = lark(constraint.text, vocabulary)
            else:
                grammar = grammar_of_schema(constraint.text)
        except GrammarError as error:
            raise constraint.refused(str(error)) from None
        self._matcher = LLMatcher(_tokenizer(vocabulary), grammar, log_level=0, limits=LIMITS)
        self._mask = np.zeros((vocabulary.size + 31) // 32, dtype=np.uint32)
        if why := self.failure:
            raise constraint.refused(why)
        self._constraint = constraint

    def check(self) -> None:
        """Raise GgmlError if no text can begin."""
        if not self.allowed().size:
            raise self._constraint.refused(self.failure)

    @property
    def failure(self) -> str:
        """Why no token can follow any more, "" if llguidance did not fail."""
        said = str(self._matcher.get_error()).partition("\n<")[0]
        if said.startswith("NoExtension"):
            return "no token can follow"
        return " ".join(said.rpartition(_COMPILER)[2].partition("\n   ")[0].split())

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


def _tokenizer(vocabulary: Vocabulary) -> LLTokenizer:
    """llguidance's view of ``vocabulary``, which takes a second to build and is kept with it."""
    with _building:
        tokenizer = _tokenizers.get(vocabulary)
        if tokenizer is None:
            tokenizer = _tokenizers[vocabulary] = _built(vocabulary)
    return tokenizer


def _built(vocabulary: Vocabulary) -> LLTokenizer:
    pieces = [vocabulary.piece(token) for token in range(vocabulary.size)]
    for special in vocabulary.specials:
        if special.control:
            pieces[special.token] = _SPECIAL + pieces[special.token]
    ends = vocabulary.ends
    if not ends:
        ends = [len(pieces)]
        pieces.append(_SPECIAL + b"end")
    tokenize = ctypes.cast(llama_cpp.llama_cpp._lib.llama_tokenize, ctypes.c_void_p)
    try:
        return LLTokenizer.from_llamacpp(  # type: ignore[attr-defined,no-any-return]
            tokens=pieces,
            vocab_ptr=ctypes.cast(vocabulary.pointer, ctypes.c_void_p).value,
            tokenize_fptr=tokenize.value,
            eos_token=ends,
        )
    except ValueError as error:
        raise GgmlError(
            ErrNo.INVALID_ARGUMENT,
            f"the model's vocabulary cannot follow a grammar or a JSON schema: {error}",
        ) from None
