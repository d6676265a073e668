"""Slots: places for a sequence in a llama context, and what their KV cache still holds.

A slot that a sequence has left keeps its cache until another needs the place; a new prompt
takes the slot with the longest common prefix, or a copy of that where the slot is in use.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from .sequence import Sequence

COPY_FROM = 64
"""Tokens that a copy must save to be worth its time."""


@dataclass
class Slot:
    """A place. ``tokens`` are those in its cache while no sequence is in it."""

    index: int
    sequence: Sequence | None = None
    tokens: list[int] = field(default_factory=list)
    used: int = 0

    @property
    def held(self) -> list[int]:
        """The tokens that its cache holds."""
        if self.sequence is None:
            return self.tokens
        return self.sequence.tokens[: self.sequence.position]


@dataclass(frozen=True)
class Choice:
    """Where a prompt goes, whose cache it takes over, and how many tokens of that."""

    slot: Slot
    source: Slot
    common: int


class Cache:
    """The slots of one llama context."""

    def __init__(self, slots: int) -> None:
        self.slots = [Slot(index) for index in range(slots)]
        self._clock = 0

    def free(self) -> list[Slot]:
        """The slots that no sequence is in."""
        return [slot for slot in self.slots if slot.sequence is None]

    def choose(self, tokens: list[int]) -> Choice | None:
        """The slot for ``tokens``; None if all are taken.

        At least one token stays to be evaluated, since what follows it is needed.
        """
        free = self.free()
        if not free:
            return None
        limit = len(tokens) - 1
        common = {slot.index: common_prefix(slot.held, tokens, limit) for slot in self.slots}
        best = max(free, key=lambda slot: (common[slot.index], -slot.used))
        source = max(self.slots, key=lambda slot: common[slot.index])
        if common[source.index] >= common[best.index] + COPY_FROM:
            return Choice(_oldest(free), source, common[source.index])
        if common[best.index]:
            return Choice(best, best, common[best.index])
        return Choice(_oldest(free), best, 0)

    def occupy(self, slot: Slot, sequence: Sequence) -> None:
        """Put ``sequence`` into ``slot``."""
        slot.sequence, slot.tokens = sequence, []
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
    """How many first tokens two lists share, whole pictures only, at most ``limit``."""
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
