"""How a sequence samples, and the samplers of llama.cpp that do it, in common_sampler's order.

Source: llama.cpp's common/sampling.cpp.
"""

import ctypes
import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from ...nn.errno import NnErrno
from ..errors import GgmlError
from ..llama.library import llama
from ..llama.vocabulary import Vocabulary
from ..metadata.parse import Settings
from .constraint import Constraint

RANDOM_SEED = 2**32 - 1
MIROSTAT_M = 100
DRY_BREAKERS = ("\n", ":", '"', "*")
ORDER = "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature"
"""llama.cpp's default order of samplers, as the key ``samplers`` has it."""
MOST_BREAKERS = 64
MOST_BIASES = 4096

Bias = tuple[tuple[int, float], ...]
Made = ctypes.c_void_p


@dataclass(frozen=True)
class Sampling:
    """How a sequence samples: the sampling keys of its metadata, as values."""

    constraint: Constraint | None
    bias: Bias
    order: tuple[str, ...]
    min_keep: int
    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    top_n_sigma: float
    xtc: tuple[float, float]
    temperature: tuple[float, float, float]
    penalties: tuple[int, float, float, float]
    dry: tuple[float, float, int, int]
    dry_breakers: tuple[str, ...]
    mirostat: tuple[int, float, float]
    seed: int
    probabilities: int
    """Tokens that are told of beside each."""
    after: bool
    """Whether their probabilities are told as the samplers left them."""

    @classmethod
    def of(cls, settings: Settings, vocabulary: Vocabulary, context_size: int) -> "Sampling":
        """The sampling that ``settings`` ask for. Raises GgmlError if it cannot be made."""
        last = settings["dry-last-n-penalty"]
        window = settings["last-n-penalty"]
        return cls(
            constraint=Constraint.of(settings),
            bias=_bias(settings["logit-bias"], vocabulary, no_end=settings["ignore-eos"]),
            order=_order(settings["samplers"]),
            min_keep=settings["min-keep"],
            top_k=settings["top-k"],
            top_p=settings["top-p"],
            min_p=settings["min-p"],
            typical_p=settings["typ-p"],
            top_n_sigma=settings["top-n-sigma"],
            xtc=(settings["xtc-probability"], settings["xtc-threshold"]),
            temperature=(
                settings["temp"],
                settings["dynatemp-range"],
                settings["dynatemp-exponent"],
            ),
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
            dry_breakers=_breakers(settings["dry-sequence-breakers"]),
            mirostat=(settings["mirostat"], settings["mirostat-tau"], settings["mirostat-eta"]),
            seed=settings["seed"],
            probabilities=settings["n-probs"],
            after=bool(settings["n-probs"] and settings["post-sampling-probs"]),
        )

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken always, which needs no probabilities."""
        return (
            self.temperature[0] <= 0
            and self.typical_p >= 1
            and self.xtc[0] <= 0
            and not self.after
            and self.order == tuple(ORDER.split(";"))
        )


def chain(vocabulary: Vocabulary, sampling: Sampling) -> list[Made]:
    """The samplers of ``sampling``, for a chain that frees them."""
    seed = sampling.seed
    if seed == RANDOM_SEED:
        seed = random.getrandbits(32)
    first = [_biases(vocabulary, sampling.bias)] if sampling.bias else []
    version, tau, eta = sampling.mirostat
    if version:
        temperature = llama.llama_sampler_init_temp(sampling.temperature[0])
        if version == 1:
            size = vocabulary.size
            last = llama.llama_sampler_init_mirostat(size, seed, tau, eta, MIROSTAT_M)
        else:
            last = llama.llama_sampler_init_mirostat_v2(seed, tau, eta)
        return [*first, temperature, last]
    if sampling.greedy:
        before = [_MAKERS[name](vocabulary, sampling, seed) for name in ("penalties", "dry")]
        return [*first, *before, llama.llama_sampler_init_greedy()]
    made = [_MAKERS[name](vocabulary, sampling, seed) for name in sampling.order]
    return [*first, *made, llama.llama_sampler_init_dist(seed)]


def _biases(vocabulary: Vocabulary, bias: Bias) -> Made:
    rows = (llama.llama_logit_bias * len(bias))(*bias)
    made: Made = llama.llama_sampler_init_logit_bias(vocabulary.size, len(bias), rows)
    return made


def _dry(vocabulary: Vocabulary, sampling: Sampling, _: int) -> Made:
    texts = [text.encode() for text in sampling.dry_breakers]
    breakers = (ctypes.c_char_p * len(texts))(*texts)
    made: Made = llama.llama_sampler_init_dry(
        vocabulary.pointer, *sampling.dry, breakers, len(texts)
    )
    return made


_MAKERS: dict[str, Callable[[Vocabulary, Sampling, int], Made]] = {
    "penalties": lambda v, s, _: llama.llama_sampler_init_penalties(v.size, *s.penalties),
    "dry": _dry,
    "top_n_sigma": lambda _, s, __: llama.llama_sampler_init_top_n_sigma(s.top_n_sigma),
    "top_k": lambda _, s, __: llama.llama_sampler_init_top_k(s.top_k),
    "typ_p": lambda _, s, __: llama.llama_sampler_init_typical(s.typical_p, s.min_keep),
    "top_p": lambda _, s, __: llama.llama_sampler_init_top_p(s.top_p, s.min_keep),
    "min_p": lambda _, s, __: llama.llama_sampler_init_min_p(s.min_p, s.min_keep),
    "xtc": lambda _, s, seed: llama.llama_sampler_init_xtc(*s.xtc, s.min_keep, seed),
    "temperature": lambda _, s, __: llama.llama_sampler_init_temp_ext(*s.temperature),
}
_ALIASES = {"typical_p": "typ_p", "top-k": "top_k", "top-p": "top_p", "min-p": "min_p"}
_ALIASES |= {"typ-p": "typ_p", "typical": "typ_p", "temp": "temperature"}
_ALIASES |= {"top-n-sigma": "top_n_sigma"}


def _order(text: str) -> tuple[str, ...]:
    names = tuple(_ALIASES.get(name, name) for name in (text or ORDER).split(";"))
    for name in names:
        if name not in _MAKERS:
            raise _refused("samplers", f"{name!r:.40} is not one of {ORDER}")
    if len(set(names)) < len(names):
        raise _refused("samplers", "it names one twice")
    return names


def _breakers(text: str) -> tuple[str, ...]:
    if not text:
        return DRY_BREAKERS
    given = _array("dry-sequence-breakers", text)
    found = [each for each in given if isinstance(each, str) and each and "\0" not in each]
    if len(found) < len(given) or len(found) > MOST_BREAKERS:
        raise _refused(
            "dry-sequence-breakers", f"it is not an array of {MOST_BREAKERS} texts at most"
        )
    return tuple(found)


def _bias(text: str, vocabulary: Vocabulary, *, no_end: bool) -> Bias:
    """What is added to the logits of tokens: as ``text`` says, and with ``no_end`` no end."""
    rows = _array("logit-bias", text) if text else []
    if len(rows) > MOST_BIASES:
        raise _refused("logit-bias", f"it has {len(rows)} rows; {MOST_BIASES} are allowed")
    bias = [each for row in rows for each in _row(row, vocabulary)]
    if no_end:
        bias += [(token, -math.inf) for token in vocabulary.ends]
    return tuple(bias)


def _row(row: object, vocabulary: Vocabulary) -> list[tuple[int, float]]:
    match row:
        case [int() | str() as what, (int() | float() | None) as value] if not isinstance(
            what, bool
        ) and not isinstance(value, bool):
            number = -math.inf if value is None else float(value)
        case _:
            raise _refused(
                "logit-bias", f"{row!r:.60} is not a token's number or text and a number"
            )
    if isinstance(what, str):
        return [(token, number) for token in vocabulary.tokenize(what.encode(), special=False)]
    if not 0 <= what < vocabulary.size:
        raise _refused(
            "logit-bias", f"the model has no token {what}; its are 0 to {vocabulary.size - 1}"
        )
    return [(what, number)]


def _array(key: str, text: str) -> list[object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise _refused(key, "it is not a JSON array")
    return found


def _refused(key: str, why: str) -> GgmlError:
    return GgmlError(NnErrno.INVALID_ARGUMENT, f"the option {key} cannot be used: {why}")
