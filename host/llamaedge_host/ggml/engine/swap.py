"""KV caches moved out of a llama context into the host's memory.

What a slot loses to another prompt lies here until its conversation goes on; so does what a
sequence has computed that had to make place for a waiting one. Taking it back costs a copy,
where evaluating it again would cost a prompt.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..llama.context import State


@dataclass(frozen=True, eq=False)
class Swapped:
    """The KV cache of ``tokens``, of which a sliding window keeps those from ``first`` on."""

    tokens: list[int]
    first: int
    state: State


class Swap:
    """The swapped caches of one engine, at most ``limit`` bytes; the least recently used go.

    Used by the engine's thread alone.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.entries: list[Swapped] = []
        """The least recently used first."""
        self.dropped: Callable[[Swapped], None] | None = None
        """Hears of what goes since there is no room for it."""

    @property
    def used(self) -> int:
        """Bytes."""
        return sum(entry.state.nbytes for entry in self.entries)

    def add(self, entry: Swapped) -> None:
        """Keep ``entry``, in the place of those that it goes on from."""
        size = len(entry.tokens)
        if any(other.tokens[:size] == entry.tokens for other in self.entries):
            return
        self.entries = [
            other for other in self.entries if entry.tokens[: len(other.tokens)] != other.tokens
        ]
        self.entries.append(entry)
        while self.entries and self.used > self.limit:
            entry = self.entries.pop(0)
            if self.dropped is not None:
                self.dropped(entry)

    def taken(self, entry: Swapped, common: int) -> None:
        """The first ``common`` tokens of ``entry`` are in a slot again."""
        if entry in self.entries:
            self.entries.remove(entry)
            if common < len(entry.tokens):
                self.entries.append(entry)
