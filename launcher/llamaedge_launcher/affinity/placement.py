"""Where prefixes lie, and which place a request goes to."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from math import ceil

from .prefix import Prefix

SLACK = 1.25
"""A place takes this many times the mean load before others are asked in its stead."""
CAPACITY = 8192
"""Blocks that a place is taken to keep: half a million tokens."""


class Placement:
    """Remembers which place was sent which prefixes, the latest ``capacity`` blocks of each.

    Places that have the longest beginning of a request are asked first, then the others in an
    order that its key alone decides, so that routers that know nothing of each other choose alike.
    Those whose load is above ``slack`` times the mean come last.
    """

    def __init__(self, *, capacity: int = CAPACITY, slack: float = SLACK) -> None:
        self._capacity = capacity
        self._slack = slack
        self._kept: dict[str, OrderedDict[bytes, None]] = {}
        self._holders: dict[bytes, set[str]] = {}

    def order(self, prefix: Prefix | None, loads: Mapping[str, int]) -> Iterator[str]:
        """All places of ``loads``, which are requests under way, the best one first."""
        bound = self._bound(loads)
        full = sorted((place for place in loads if loads[place] >= bound), key=loads.__getitem__)
        free = loads.keys() - full
        if prefix is None:
            yield from sorted(free, key=loads.__getitem__)
        else:
            for found in self._nearest(prefix, free):
                yield from _ranked(prefix.key, found)
                free -= found
            yield from _ranked(prefix.key, free)
        yield from full

    def matched(self, prefix: Prefix, place: str) -> int:
        """The number of blocks of ``prefix`` that ``place`` is known to have."""
        kept = self._kept.get(place, ())
        return next(
            (n for n, block in enumerate(prefix.blocks) if block not in kept), len(prefix.blocks)
        )

    def sent(self, prefix: Prefix, place: str) -> None:
        """``place`` has been sent a request of this prefix."""
        kept = self._kept.setdefault(place, OrderedDict())
        for block in reversed(prefix.blocks):  # so that the end of a prefix is forgotten first
            kept[block] = None
            kept.move_to_end(block)
            self._holders.setdefault(block, set()).add(place)
        while len(kept) > self._capacity:
            self._drop(kept.popitem(last=False)[0], place)

    def forget(self, place: str) -> None:
        """``place`` is gone, and what it had with it."""
        for block in self._kept.pop(place, ()):
            self._drop(block, place)

    @property
    def places(self) -> set[str]:
        """Those of which something is known."""
        return set(self._kept)

    def _bound(self, loads: Mapping[str, int]) -> int:
        return ceil(self._slack * (sum(loads.values()) + 1) / max(len(loads), 1))

    def _nearest(self, prefix: Prefix, free: set[str]) -> Iterator[set[str]]:
        """The places among ``free`` that have most of ``prefix``, then those with less."""
        left = set(free)
        for block in reversed(prefix.blocks):
            found = self._holders.get(block, set()) & left
            if found:
                left -= found
                yield found

    def _drop(self, block: bytes, place: str) -> None:
        holders = self._holders[block]
        holders.discard(place)
        if not holders:
            del self._holders[block]


def _ranked(key: bytes, places: set[str]) -> list[str]:
    """Rendezvous hashing: a place that comes or goes changes the first of few keys."""
    return sorted(
        places, key=lambda place: hashlib.blake2b(place.encode(), key=key, digest_size=8).digest()
    )
