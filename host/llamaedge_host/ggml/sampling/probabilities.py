"""What a token was chosen among: the likeliest tokens, by their logarithms of probabilities."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .shortlist import likeliest

NEVER = -9999.0
"""What stands for the logarithm of 0, which JSON has not; OpenAI's number for it."""


@dataclass(frozen=True)
class Probabilities:
    """``token`` and the likeliest ``others``, itself among them, each with its logarithm."""

    token: int
    logarithm: float
    others: list[tuple[int, float]]

    def as_json(self, piece: Callable[[int], bytes]) -> bytes:
        """``{"id", "bytes", "logprob", "top": [{"id", "bytes", "logprob"}, ...]}``.

        ``bytes`` are the numbers of the bytes of a token's ``piece``.
        """

        def row(token: int, logarithm: float) -> dict[str, object]:
            return {"id": token, "bytes": list(piece(token)), "logprob": max(logarithm, NEVER)}

        top = [row(*each) for each in self.others]
        return json.dumps({**row(self.token, self.logarithm), "top": top}).encode()


def before_sampling(logits: npt.NDArray[np.float32], token: int, count: int) -> Probabilities:
    """The ``count`` likeliest tokens of the model itself, whatever the samplers do."""
    most = float(logits.max())
    total = most + float(np.log(np.exp(logits - most).sum(dtype=np.float64)))
    count = min(count, len(logits))
    found = likeliest(logits, count) if count else np.arange(0)
    found = found[np.argsort(-logits[found], kind="stable")][:count]
    others = [(int(each), float(logits[each]) - total) for each in found]
    return Probabilities(token, float(logits[token]) - total, others)


def after_sampling(candidates: npt.NDArray[np.void], token: int, count: int) -> Probabilities:
    """The ``count`` likeliest of those that the samplers left."""
    with np.errstate(divide="ignore"):
        logarithms = np.log(candidates["p"])
    order = np.argsort(-candidates["p"], kind="stable")
    found = [(int(candidates["id"][each]), float(logarithms[each])) for each in order]
    return Probabilities(token, dict(found)[token], found[:count])
