"""KV caches moved out of a llama context into the host's memory.

What a slot loses to another prompt lies here until its conversation goes on; so does what a
sequence has computed that had to make place for a waiting one. Taking it back costs a copy,
where evaluating it again would cost a prompt.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..llama.adapters import Scales
from ..llama.context import State
from .prefixes import Prefixes


@dataclass(frozen=True, eq=False)
class Swapped:
    """The KV cache of ``tokens``, of which a sliding window keeps those from ``first`` on."""

    tokens: list[int]
    first: int
    state: State
    adapters: Scales = ()


class Swap:
    """The swapped caches of one engine, at most ``limit`` bytes; the least recently used go.

    Used by the engine's thread alone.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        """Bytes."""
        self.dropped: Callable[[Swapped], None] | None = None
        """Hears of what goes since there is no room for it."""
        self._entries: dict[Swapped, None] = {}
        self._known = Prefixes[Swapped]()

    @property
    def entries(self) -> list[Swapped]:
        """All of them, the least recently used first."""
        return list(self._entries)

    def nearest(self, tokens: list[int], adapters: Scales = ()) -> list[Swapped]:
        """The entries, two at most, one of which shares as many first tokens as any does."""
        return self._known.nearest(tokens, adapters)

    def holds(self, tokens: list[int], adapters: Scales = ()) -> bool:
        """Whether an entry begins with all of ``tokens``."""
        return self._known.holding(tokens, adapters) is not None

    def add(self, entry: Swapped) -> None:
        """Keep ``entry``, in the place of the one that it goes on from."""
        if self.holds(entry.tokens, entry.adapters):
            return
        if (begun := self._known.begun(entry.tokens, entry.adapters)) is not None:
            self._remove(begun)
        self._entries[entry] = None
        self._known.add(entry)
        self.used += entry.state.nbytes
        while self.used > self.limit:
            oldest = next(iter(self._entries))
            self._remove(oldest)
            if self.dropped is not None:
                self.dropped(oldest)

    def taken(self, entry: Swapped, common: int) -> None:
        """The first ``common`` tokens of ``entry`` are in a slot again."""
        if entry not in self._entries:
            return
        if common < len(entry.tokens):
            self._entries[entry] = self._entries.pop(entry)
        else:
            self._remove(entry)

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._known.clear()
        self.used = 0

    def _remove(self, entry: Swapped) -> None:
        del self._entries[entry]
        self._known.remove(entry)
        self.used -= entry.state.nbytes
