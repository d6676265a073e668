"""Chooses the next token, in the order and by the rules of llama.cpp's common_sampler.

Source: llama.cpp's common/sampling.cpp.
"""

import ctypes
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..llama.library import llama, quick
from ..llama.vocabulary import Tokens, Vocabulary
from ..metadata.parse import Settings
from .budget import Budget
from .chain import Sampling, chain
from .constraint import Constraint, Matcher
from .constraint import check as check_constraint
from .probabilities import Probabilities, after_sampling, before_sampling
from .shortlist import Floats, Shortlist

_CANDIDATE = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])  # llama_token_data
_FEW = 1024
"""Candidates that samplers are done with in microseconds."""
_Array = llama.llama_token_data_array
_logits = quick("llama_get_logits_ith", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32)
_accept = quick("llama_sampler_accept", None, ctypes.c_void_p, ctypes.c_int32)
_apply_to_few = quick("llama_sampler_apply", None, ctypes.c_void_p, ctypes.POINTER(_Array))


def check(settings: Settings, vocabulary: Vocabulary) -> None:
    """Raise GgmlError if the sampling that ``settings`` ask for cannot be made."""
    Sampling.of(settings, vocabulary, 0)
    if constraint := Constraint.of(settings):
        check_constraint(constraint, vocabulary)


class Sampler:
    """llama.cpp's samplers for one sequence, and the grammar or JSON schema that it follows.

    ``budget`` bounds reasoning, of which what follows a grammar has none. Raises GgmlError for a
    grammar that cannot be used.
    """

    def __init__(
        self, vocabulary: Vocabulary, sampling: Sampling, budget: Budget | None = None
    ) -> None:
        self._vocabulary = vocabulary
        self._budget = None if sampling.constraint else budget
        self._few = _Candidates(_FEW)
        self._matcher: Matcher | None = None
        if sampling.constraint:
            self._matcher = Matcher(sampling.constraint, vocabulary)
        self._chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        for sampler in chain(vocabulary, sampling):
            llama.llama_sampler_chain_add(self._chain, sampler)
        self._shortlist = Shortlist.of(sampling)
        self._told = sampling.probabilities
        self._after = sampling.after
        self._left: npt.NDArray[np.void] | None = None
        self._seen: Probabilities | None = None

    @property
    def failure(self) -> str:
        """Why there is no token, after ``sample`` has given none."""
        return (self._matcher and self._matcher.failure) or "no token can follow"

    def sample(self, context: ctypes.c_void_p, row: int) -> int | None:
        """The token after the batch's row ``row``; None if the grammar allows none."""
        token = self._next(context, row)
        if token is not None and self._budget is not None:
            self._budget.made(token)
        if self._told and token is not None:
            self._seen = self._look(context, row, token)
        return token

    def _next(self, context: ctypes.c_void_p, row: int) -> int | None:
        forced = self._budget.forced() if self._budget is not None else None
        if forced is not None:
            self._left = None
            return self._accept(forced)
        values = logits(context, row, self._vocabulary.size)
        if self._matcher is not None:
            return self._constrained(values, self._matcher)
        token = self._foregone(values)
        return self._accept(self._choose(self._candidates(values)) if token is None else token)

    def _foregone(self, values: Floats) -> int | None:
        """The token, if the samplers have no choice and nobody asks what they left."""
        return None if self._shortlist is None or self._after else self._shortlist.only(values)

    def _accept(self, token: int) -> int:
        _accept(self._chain, token)
        if self._shortlist is not None:
            self._shortlist.made(token)
        return token

    def seen(self) -> Probabilities | None:
        """What the last token was chosen among, None if nobody asked for it."""
        return self._seen

    def _look(self, context: ctypes.c_void_p, row: int, token: int) -> Probabilities:
        if self._after and self._left is not None:
            return after_sampling(self._left, token, self._told)
        return before_sampling(logits(context, row, self._vocabulary.size), token, self._told)

    def close(self) -> None:
        """Free the samplers."""
        if self._chain is not None:
            llama.llama_sampler_free(self._chain)
            self._chain = None

    def _constrained(self, values: Floats, matcher: Matcher) -> int | None:
        """Sample first, and again from what may come next if that cannot."""
        token = self._choose(self._candidates(values))
        if not matcher.follows(token):
            allowed = matcher.allowed()
            if not allowed.size:
                return None
            token = self._choose(self._candidates(values, allowed))
            if not matcher.follows(token):
                return None
        return self._accept(token)

    def _choose(self, candidates: "_Candidates") -> int:
        array = candidates.array
        apply = _apply_to_few if array.size <= _FEW else llama.llama_sampler_apply
        apply(self._chain, ctypes.byref(array))
        if self._after:
            self._left = candidates.rows[: array.size]
        token: int = array.data[array.selected].id  # a sampler may have rows of its own
        return token

    def _candidates(self, values: Floats, tokens: Tokens | None = None) -> "_Candidates":
        """``tokens`` with their logits, or all of them that the samplers can leave."""
        listed: npt.NDArray[np.integer] | None = tokens
        if tokens is None and self._shortlist is not None:
            listed = self._shortlist.of_values(values)
        if listed is None:
            listed = np.arange(len(values), dtype=np.int32)
        else:
            values = values[listed]
        candidates = self._few if len(listed) <= _FEW else _Candidates(len(listed))
        candidates.fill(listed, values)
        return candidates


class _Candidates:
    """Room for ``most`` tokens that samplers choose among, and what they have left of them."""

    def __init__(self, most: int) -> None:
        self.rows = np.zeros(most, dtype=_CANDIDATE)
        self._tokens = self.rows["id"]
        self._logits = self.rows["logit"]
        self._data = ctypes.cast(self.rows.ctypes.data, llama.llama_token_data_p)
        self.array = _Array(self._data, most, -1, False)

    def fill(self, tokens: npt.NDArray[np.integer], logits: Floats) -> None:
        """Let the candidates be ``tokens``, with these ``logits``."""
        count = self.array.size = len(tokens)
        self._tokens[:count] = tokens
        self._logits[:count] = logits
        self.array.data = self._data
        self.array.selected = -1
        self.array.sorted = False


def logits(context: ctypes.c_void_p, row: int, size: int) -> Floats:
    """The logits after the batch's row ``row``; a view that the next decode overwrites."""
    return _floats(_logits(context, row), size)


@lru_cache(maxsize=1024)
def _floats(address: int, size: int) -> Floats:
    memory = (ctypes.c_float * size).from_address(address)
    return np.frombuffer(memoryview(memory), dtype=np.float32)
