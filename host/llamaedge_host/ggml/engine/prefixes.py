"""Prompts in order: what shares most with another is beside the place where that would be."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

from ..llama.adapters import Scales

_TOKENS = attrgetter("tokens")


class Computed(Protocol):
    """Tokens, and the scales of the adapters that they were computed with."""

    @property
    def tokens(self) -> list[int]:
        """The tokens."""

    @property
    def adapters(self) -> Scales:
        """The scales."""


Entry = TypeVar("Entry", bound=Computed)


class Prefixes(Generic[Entry]):
    """Entries, none of which begins with all of another's tokens.

    They are in the order of their tokens, so that those which share most with some are found
    by halves: of 10,000, 14 are looked at. Other adapters' entries never count.
    """

    def __init__(self) -> None:
        self._ordered: dict[Scales, list[Entry]] = {}

    def __iter__(self) -> Iterator[Entry]:
        return chain.from_iterable(self._ordered.values())

    def nearest(self, tokens: list[int], adapters: Scales) -> list[Entry]:
        """Two entries at most, one of which shares as many first tokens as any does."""
        ordered = self._ordered.get(adapters, [])
        at = _place(ordered, tokens)
        return ordered[max(at - 1, 0) : at + 1]

    def holding(self, tokens: list[int], adapters: Scales) -> Entry | None:
        """The first entry that begins with all of ``tokens``, if any does."""
        ordered = self._ordered.get(adapters, [])
        found = ordered[_place(ordered, tokens) :][:1]
        return next((each for each in found if each.tokens[: len(tokens)] == tokens), None)

    def begun(self, tokens: list[int], adapters: Scales) -> Entry | None:
        """The entry that ``tokens`` begin with, if they go on from one."""
        near = self.nearest(tokens, adapters)
        return next((each for each in near if tokens[: len(each.tokens)] == each.tokens), None)

    def add(self, entry: Entry) -> None:
        """Keep ``entry``, of which ``holding`` and ``begun`` know none."""
        ordered = self._ordered.setdefault(entry.adapters, [])
        ordered.insert(_place(ordered, entry.tokens), entry)

    def remove(self, entry: Entry) -> None:
        """Forget ``entry``, if it is one."""
        ordered = self._ordered.get(entry.adapters, [])
        at = _place(ordered, entry.tokens)
        if ordered[at : at + 1] == [entry]:
            del ordered[at]
            if not ordered:
                del self._ordered[entry.adapters]

    def clear(self) -> None:
        """Forget all."""
        self._ordered.clear()


def _place(ordered: list[Entry], tokens: list[int]) -> int:
    return bisect_left(ordered, tokens, key=_TOKENS)
