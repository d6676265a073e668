"""Chooses the next token, in the order and by the rules of llama.cpp's common_sampler.

Source: llama.cpp's common/sampling.cpp.
"""

import ctypes
import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..llama.library import llama
from ..llama.vocabulary import Tokens, Vocabulary
from ..metadata.parse import Settings
from .constraint import Constraint, Matcher
from .constraint import check as check_constraint

RANDOM_SEED = 2**32 - 1
MIROSTAT_TAU = 5.0
MIROSTAT_M = 100
DRY_BREAKERS = (b"\n", b":", b'"', b"*")

_CANDIDATE = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])  # llama_token_data

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sampling:
    """How a sequence samples: the sampling keys of its metadata, as values."""

    constraint: Constraint | None
    greedy: bool
    min_keep: int
    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    xtc: tuple[float, float]
    temperature: tuple[float, float, float]
    penalties: tuple[int, float, float, float]
    dry: tuple[float, float, int, int]
    mirostat: tuple[int, float]
    seed: int

    @classmethod
    def of(cls, settings: Settings, context_size: int) -> "Sampling":
        """The sampling that ``settings`` ask for."""
        temperature, typical_p = settings["temp"], settings["typ-p"]
        xtc = settings["xtc-probability"], settings["xtc-threshold"]
        last = settings["dry-last-n-penalty"]
        window = settings["last-n-penalty"]
        return cls(
            constraint=Constraint.of(settings),
            greedy=temperature <= 0 and typical_p >= 1 and xtc[0] <= 0,
            min_keep=settings["min-keep"],
            top_k=settings["top-k"],
            top_p=settings["top-p"],
            min_p=settings["min-p"],
            typical_p=typical_p,
            xtc=xtc,
            temperature=(temperature, settings["dynatemp-range"], settings["dynatemp-exponent"]),
            penalties=(
                context_size if window < 0 else window,
                settings["repeat-penalty"] or 1.0,
                settings["frequency-penalty"],
                settings["presence-penalty"],
            ),
            dry=(
                settings["dry-multipier"],
                settings["dry-base"],
                settings["dry-allowed-length"],
                context_size if last < 0 else last,
            ),
            mirostat=(settings["mirostat"], settings["mirostat-eta"]),
            seed=settings["seed"],
        )


def check(settings: Settings, vocabulary: Vocabulary) -> None:
    """Raise GgmlError if the grammar or JSON schema of ``settings`` cannot be used."""
    if constraint := Constraint.of(settings):
        check_constraint(constraint, vocabulary)


class Sampler:
    """llama.cpp's samplers for one sequence, and the grammar or JSON schema that it follows.

    Raises GgmlError for one that cannot be used.
    """

    def __init__(self, vocabulary: Vocabulary, sampling: Sampling) -> None:
        self._vocabulary = vocabulary
        self._rows: npt.NDArray[np.void] | None = None
        self._matcher: Matcher | None = None
        if sampling.constraint:
            self._matcher = Matcher(sampling.constraint, vocabulary)
        self._chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        for sampler in _chain(vocabulary, sampling):
            llama.llama_sampler_chain_add(self._chain, sampler)

    @property
    def failure(self) -> str:
        """Why there is no token, after ``sample`` has given none."""
        return (self._matcher and self._matcher.failure) or "no token can follow"

    def sample(self, context: ctypes.c_void_p, row: int) -> int | None:
        """The token after the batch's row ``row``; None if the grammar allows none."""
        if self._matcher is None:
            token: int = llama.llama_sampler_sample(self._chain, context, row)
            return token
        return self._constrained(context, row, self._matcher)

    def close(self) -> None:
        """Free the samplers."""
        if self._chain is not None:
            llama.llama_sampler_free(self._chain)
            self._chain = None

    def _constrained(self, context: ctypes.c_void_p, row: int, matcher: Matcher) -> int | None:
        """Sample first, and again from what may come next if that cannot."""
        token = self._choose(self._candidates(context, row))
        if not matcher.follows(token):
            allowed = matcher.allowed()
            if not allowed.size:
                return None
            token = self._choose(self._candidates(context, row, allowed))
            if not matcher.follows(token):
                return None
        llama.llama_sampler_accept(self._chain, token)
        return token

    def _choose(self, candidates: llama.llama_token_data_array) -> int:
        llama.llama_sampler_apply(self._chain, ctypes.byref(candidates))
        token: int = candidates.data[candidates.selected].id
        return token

    def _candidates(
        self, context: ctypes.c_void_p, row: int, tokens: Tokens | None = None
    ) -> llama.llama_token_data_array:
        """``tokens``, or all of them, with their logits."""
        size = self._vocabulary.size
        rows = self._rows = np.zeros(size if tokens is None else len(tokens), dtype=_CANDIDATE)
        rows["id"] = np.arange(size, dtype=np.int32) if tokens is None else tokens
        values = logits(context, row, size)
        rows["logit"] = values if tokens is None else values[tokens]
        data = ctypes.cast(rows.ctypes.data, llama.llama_token_data_p)
        return llama.llama_token_data_array(data, len(rows), -1, False)


def logits(context: ctypes.c_void_p, row: int, size: int) -> Floats:
    """The logits after the batch's row ``row``; a view that the next decode overwrites."""
    return np.ctypeslib.as_array(llama.llama_get_logits_ith(context, row), (size,))


def _chain(vocabulary: Vocabulary, sampling: Sampling) -> list[ctypes.c_void_p]:
    seed = sampling.seed
    if seed == RANDOM_SEED:
        seed = random.getrandbits(32)
    version, eta = sampling.mirostat
    if version:
        temperature = llama.llama_sampler_init_temp(sampling.temperature[0])
        if version == 1:
            size = vocabulary.size
            last = llama.llama_sampler_init_mirostat(size, seed, MIROSTAT_TAU, eta, MIROSTAT_M)
        else:
            last = llama.llama_sampler_init_mirostat_v2(seed, MIROSTAT_TAU, eta)
        return [temperature, last]
    breakers = (ctypes.c_char_p * len(DRY_BREAKERS))(*DRY_BREAKERS)
    first = [
        llama.llama_sampler_init_penalties(vocabulary.size, *sampling.penalties),
        llama.llama_sampler_init_dry(
            vocabulary.pointer, *sampling.dry, breakers, len(DRY_BREAKERS)
        ),
    ]
    if sampling.greedy:
        return [*first, llama.llama_sampler_init_greedy()]
    keep = sampling.min_keep
    return [
        *first,
        llama.llama_sampler_init_top_k(sampling.top_k),
        llama.llama_sampler_init_typical(sampling.typical_p, keep),
        llama.llama_sampler_init_top_p(sampling.top_p, keep),
        llama.llama_sampler_init_min_p(sampling.min_p, keep),
        llama.llama_sampler_init_xtc(*sampling.xtc, keep, seed),
        llama.llama_sampler_init_temp_ext(*sampling.temperature),
        llama.llama_sampler_init_dist(seed),
    ]
