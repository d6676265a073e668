"""KV caches moved out of a llama context into the host's memory.

What a slot loses to another prompt lies here until its conversation goes on; so does what a
sequence has computed that had to make place for a waiting one. Taking it back costs a copy,
where evaluating it again would cost a prompt.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from ..llama.adapters import Scales
from ..llama.context import State


@dataclass(frozen=True, eq=False)
class Swapped:
    """The KV cache of ``tokens``, of which a sliding window keeps those from ``first`` on."""

    tokens: list[int]
    first: int
    state: State
    adapters: Scales = ()


class Swap:
    """The swapped caches of one engine, at most ``limit`` bytes; the least recently used go.

    None of them begins with all of another, and they are in order too: so those that share most
    with some tokens are the ones beside which these would be, however many there are. Used by the
    engine's thread alone.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        """Bytes."""
        self.dropped: Callable[[Swapped], None] | None = None
        """Hears of what goes since there is no room for it."""
        self._entries: dict[Swapped, None] = {}
        self._ordered: list[Swapped] = []

    @property
    def entries(self) -> list[Swapped]:
        """All of them, the least recently used first."""
        return list(self._entries)

    def nearest(self, tokens: list[int], adapters: Scales = ()) -> list[Swapped]:
        """The entries, two at most, one of which shares as many first tokens as any does.

        Others than ``adapters`` computed do not count.
        """
        at = self._place(tokens, adapters)
        beside = self._ordered[max(at - 1, 0) : at + 1]
        return [entry for entry in beside if entry.adapters == adapters]

    def add(self, entry: Swapped) -> None:
        """Keep ``entry``, in the place of the one that it goes on from."""
        for other in self.nearest(entry.tokens, entry.adapters):
            if other.tokens[: len(entry.tokens)] == entry.tokens:
                return
            if entry.tokens[: len(other.tokens)] == other.tokens:
                self._remove(other)
        self._entries[entry] = None
        self._ordered.insert(self._place(entry.tokens, entry.adapters), entry)
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
        self._ordered.clear()
        self.used = 0

    def _place(self, tokens: list[int], adapters: Scales) -> int:
        wanted = (adapters, tokens)
        return bisect_left(self._ordered, wanted, key=lambda entry: (entry.adapters, entry.tokens))

    def _remove(self, entry: Swapped) -> None:
        del self._entries[entry]
        del self._ordered[self._place(entry.tokens, entry.adapters)]
        self.used -= entry.state.nbytes
