"""The tokens that samplers look at, where they cut all but a few: of 150,000, a hundred.

llama.cpp's samplers get a list of all tokens, which takes longer to fill and to sort than all else
that they do. Those that can be left after the first cut are found faster.
"""

from collections import deque

import numpy as np
import numpy.typing as npt

from .chain import Sampling

Floats = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.intp]
_BLOCKS = 4
"""Blocks of values for each one that is looked for: more of them let fewer others by."""
WORTH = 16
"""A list is made of fewer than one token in so many."""


def likeliest(values: Floats, count: int) -> Tokens:
    """The places of the ``count`` largest of ``values``, and of some others as large as these.

    The least of the largest maxima of blocks is no larger than the least that is looked for.
    """
    block = max(len(values) // (_BLOCKS * count), 1)
    whole = len(values) // block * block
    maxima = values[:whole].reshape(-1, block).max(axis=1)
    if len(maxima) <= count:
        return np.arange(len(values))
    least = np.partition(maxima, len(maxima) - count)[len(maxima) - count]
    return np.flatnonzero(values >= least)


class Shortlist:
    """Keeps those tokens of a sequence that can be among the ``count`` likeliest.

    ``moved`` tokens are more or less likely than the model says; so are the last ``window``
    that were made.
    """

    def __init__(self, count: int, moved: frozenset[int], window: int) -> None:
        self._count = count
        self._moved = moved
        self._last: deque[int] = deque(maxlen=window)

    @classmethod
    def of(cls, sampling: Sampling) -> "Shortlist | None":
        """The one for ``sampling``; None where its samplers must see every token."""
        if sampling.mirostat[0] or sampling.dry[0]:
            return None
        moved = frozenset(token for token, _ in sampling.bias)
        window, *penalties = sampling.penalties
        unmoved = tuple(penalties) == (1.0, 0.0, 0.0)
        made = cls(1 if sampling.greedy else sampling.top_k, moved, 0 if unmoved else window)
        if sampling.greedy:
            return made
        if sampling.top_k <= 0 or "top_k" not in sampling.order:
            return None
        before = sampling.order[: sampling.order.index("top_k")]
        return made if all(_moves_alone(name, sampling) for name in before) else None

    def made(self, token: int) -> None:
        """``token`` has been made."""
        self._last.append(token)

    def only(self, values: Floats) -> int | None:
        """The only token that can be left, of which ``values`` are the logits; None for several."""
        if self._count > 1 or self._moved or self._last:
            return None
        token = int(values.argmax())
        return token if values[token] > -np.inf else None

    def of_values(self, values: Floats) -> Tokens | None:
        """The tokens to look at, of which ``values`` are the logits; None for all of them.

        These are the likeliest of those that are not moved, and all that are.
        """
        moved = self._moved.union(self._last)
        if (self._count + len(moved)) * WORTH > len(values):
            return None
        if not moved:
            return _found(values, self._count)
        places = np.fromiter(moved, np.intp, len(moved))
        theirs = values[places]
        values[places] = -np.inf
        found = _found(values, self._count)
        values[places] = theirs
        if found is None:
            return None
        places = np.concatenate((found, places))
        places.sort()
        return places


def _found(values: Floats, count: int) -> Tokens | None:
    """The places of the ``count`` largest, and of others; None if these are no numbers."""
    found = np.array([values.argmax()]) if count == 1 else likeliest(values, count)
    return found if len(found) >= count and values[found].min() > -np.inf else None


def _moves_alone(name: str, sampling: Sampling) -> bool:
    """Whether the sampler ``name`` changes no token but by the penalties."""
    return {
        "penalties": True,
        "dry": True,
        "top_n_sigma": sampling.top_n_sigma <= 0,
        "typ_p": sampling.typical_p >= 1,
        "top_p": sampling.top_p >= 1,
        "min_p": sampling.min_p <= 0,
        "xtc": sampling.xtc[0] <= 0,
    }.get(name, False)
