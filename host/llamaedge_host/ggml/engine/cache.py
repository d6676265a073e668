"""Slots: places for a sequence in a llama context, and what their KV cache still holds.

A slot that a sequence has left keeps its cache until another needs the place. A new prompt goes
on from the longest common prefix of what any slot holds, or of what was swapped out of one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from ..llama.adapters import Scales
from .pace import Pace
from .sequence import Sequence
from .states import Stored
from .store import Store
from .swap import Swap, Swapped

COPY_FROM = 16
"""Tokens that a copy must save from being evaluated to be worth its time."""
LOSE_UP_TO = 64
"""Tokens that a slot may lose, rather than its first ones be copied to another."""


class Memory(Protocol):
    """What is known of the memory of a llama context."""

    @property
    def unified(self) -> bool:
        """Whether sequences are computed together wherever their slots are.

        Else llama.cpp computes those together whose slots are neighbours.
        """

    def reusable(self, cached: int, first: int, count: int) -> int:
        """How many tokens remain if a cache of ``cached`` is cut to ``count``: these, or none.

        ``first`` is the position of the first token that it has cells of.
        """

    def first(self, sequence: int) -> int:
        """The position of the first token that the cache of ``sequence`` has cells of."""

    def first_saved(self, sequence: int, cached: int) -> int:
        """The same of its state, when its cache has ``cached`` tokens."""


@dataclass
class Slot:
    """A place. ``tokens`` are those in its cache while no sequence is in it.

    They were computed with ``adapters``, the scales of the model's.
    """

    index: int
    sequence: Sequence | None = None
    tokens: list[int] = field(default_factory=list)
    used: int = 0
    adapters: Scales = ()

    @property
    def cached(self) -> list[int]:
        """The tokens that its cache has."""
        if self.sequence is None:
            return self.tokens
        return self.sequence.tokens[: self.sequence.position]

    @property
    def held(self) -> int:
        """How many they are."""
        return len(self.tokens) if self.sequence is None else self.sequence.position


@dataclass(frozen=True)
class Choice:
    """Where a prompt goes, whose cache it takes over, and how many tokens of that."""

    slot: Slot
    source: Slot | Swapped | Stored
    common: int

    @property
    def lost(self) -> int:
        """Tokens that the slot's cache then holds no more."""
        return self.slot.held - (self.common if self.source is self.slot else 0)


class Cache:
    """The slots of one llama context, and what was swapped out of them.

    A token has ``token_bytes`` there, 0 where that differs; ``pace`` knows what copying them takes.
    """

    def __init__(
        self,
        slots: int,
        memory: Memory,
        swap: Swap,
        pace: Pace | None = None,
        *,
        token_bytes: int = 0,
    ) -> None:
        self.slots = [Slot(index) for index in range(slots)]
        self.swap = swap
        self._pace = pace or Pace()
        self._token_bytes = token_bytes
        self.store: Store | None = None
        """What was kept in files, if anything is."""
        self._memory = memory
        self._clock = 0

    def free(self) -> list[Slot]:
        """The slots that no sequence is in."""
        return [slot for slot in self.slots if slot.sequence is None]

    def choose(
        self,
        tokens: list[int],
        *,
        reuse: bool = True,
        adapters: Scales = (),
        place: int | None = None,
    ) -> Choice | None:
        """The slot for ``tokens``; None if all are taken. Without ``reuse`` it begins empty.

        What other ``adapters`` computed is of no use. With a ``place`` it is that slot or none.

        At least one token stays to be evaluated, since what follows it is needed. A slot is
        taken over if little is lost with that; else the oldest one gets a copy.
        """
        free = self._beside() if place is None else self._named(place)
        if not free:
            return None
        oldest = _oldest(free)
        if not reuse:
            return Choice(oldest, oldest, 0)
        here = max(
            (Choice(slot, slot, self._kept(slot, tokens, adapters)) for slot in free),
            key=lambda choice: (choice.common, -choice.lost),
        )
        if here.lost > LOSE_UP_TO:
            here = Choice(oldest, oldest, self._kept(oldest, tokens, adapters))
        copies = [
            Choice(oldest, each, self._copied(each, tokens))
            for each in self._sources(tokens, adapters)
            if each.adapters == adapters
        ]
        best = max(copies, key=self._saved, default=here)
        return best if self._saved(best) >= here.common + COPY_FROM else here

    def _saved(self, choice: Choice) -> float:
        """Tokens that a copy saves from being evaluated, less those evaluated in its time."""
        source = choice.source
        if not isinstance(source, Slot):
            return choice.common - self._pace.copying(len(source.tokens) * self._token_bytes)
        if self._memory.unified:
            return choice.common
        return choice.common - 2 * self._pace.copying(self.size(source))

    def size(self, slot: Slot) -> int:
        """Bytes of what ``slot`` holds, 0 where they are not known."""
        return slot.held * self._token_bytes

    def _sources(self, tokens: list[int], adapters: Scales) -> "list[Slot | Swapped | Stored]":
        kept = self.store.nearest(tokens, adapters) if self.store is not None else ()
        return [*self.slots, *self.swap.nearest(tokens, adapters), *kept]

    def _beside(self) -> list[Slot]:
        """The free slots among those in use and next to them; all if none is in use."""
        free, used = self.free(), self._used
        if self._memory.unified or not used:
            return free
        return [slot for slot in free if used[0] - 1 <= slot.index <= used[-1] + 1]

    def _named(self, place: int) -> list[Slot]:
        """The slot of that number, if it is free."""
        slot = self.slots[place]
        return [slot] if slot.sequence is None else []

    @property
    def _used(self) -> list[int]:
        return [slot.index for slot in self.slots if slot.sequence is not None]

    def gaps(self) -> list[tuple[Slot, Slot]]:
        """The fewest slots in use, each with a free one, that make all neighbours by moving.

        None while a sequence has to be where it is.
        """
        used = self._used
        if self._memory.unified or not used or used[-1] - used[0] < len(used):
            return []
        if any(self._fixed(index) for index in used):
            return []
        within = max(
            (range(first, first + len(used)) for first in range(len(self.slots) - len(used) + 1)),
            key=lambda place: sum(index in place for index in used),
        )
        movers = (self.slots[index] for index in used if index not in within)
        holes = (self.slots[index] for index in within if index not in used)
        return list(zip(movers, holes, strict=True))

    def _fixed(self, index: int) -> bool:
        sequence = self.slots[index].sequence
        return sequence is not None and sequence.place is not None

    def move(self, mover: Slot, hole: Slot) -> None:
        """The sequence of ``mover`` is in ``hole`` now, and the cache of that in ``mover``."""
        assert mover.sequence is not None
        hole.sequence, mover.sequence = mover.sequence, None
        hole.sequence.slot = hole.index
        mover.tokens, hole.tokens = hole.tokens, []
        mover.used, hole.used = hole.used, mover.used
        mover.adapters, hole.adapters = hole.adapters, mover.adapters

    def _kept(self, slot: Slot, tokens: list[int], adapters: Scales) -> int:
        """How many of ``tokens`` the cache of ``slot`` still holds if it is cut to them."""
        if slot.adapters != adapters:
            return 0
        cached = slot.cached
        common = common_prefix(cached, tokens, len(tokens) - 1)
        return common and self._memory.reusable(len(cached), self._memory.first(slot.index), common)

    def _copied(self, source: Slot | Swapped | Stored, tokens: list[int]) -> int:
        """How many of ``tokens`` a copy of ``source`` holds if it is cut to them."""
        cached = source.cached if isinstance(source, Slot) else source.tokens
        common = common_prefix(cached, tokens, len(tokens) - 1)
        if not common:
            return 0
        if isinstance(source, Slot):
            first = self._memory.first_saved(source.index, len(cached))
        else:
            first = source.first
        return self._memory.reusable(len(cached), first, common)

    def occupy(self, slot: Slot, sequence: Sequence) -> None:
        """Put ``sequence`` into ``slot``."""
        slot.sequence, slot.tokens, slot.adapters = sequence, [], sequence.adapters
        sequence.slot = slot.index

    def leave(self, sequence: Sequence) -> None:
        """Take ``sequence`` out of its slot, whose cache stays."""
        slot = self.slots[sequence.slot]
        slot.tokens = sequence.tokens[: sequence.position]
        slot.sequence = None
        sequence.slot = -1
        self._clock += 1
        slot.used = self._clock


def _oldest(slots: Iterable[Slot]) -> Slot:
    return min(slots, key=lambda slot: (bool(slot.tokens), slot.used))


def common_prefix(one: list[int], other: list[int], limit: int) -> int:
    """How many first tokens two lists share, no part of a picture, at most ``limit``."""
    limit = min(limit, len(one), len(other))
    low, high = 0, max(limit, 0)
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    while low and low < len(other) and _within_picture(other[low]):
        low -= 1
    return low


def _within_picture(token: int) -> bool:
    """Whether ``token`` is a placeholder of a picture, but not its first, which is even."""
    return token < 0 and token % 2 == 1
