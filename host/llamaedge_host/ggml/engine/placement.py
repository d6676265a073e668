"""Puts sequences into slots, with what of their tokens is in a KV cache already."""

import time

from ..llama.context import LlamaContext, State
from .cache import Cache, Choice, Slot
from .counters import Counters
from .pace import Pace
from .sequence import Sequence
from .states import Stored
from .store import Store
from .swap import Swap, Swapped

SWAP_FROM = 16
"""Tokens that a slot must lose for their state to be swapped out."""
RELEASED = 16 << 20
"""Bytes of the cells that a slot must lose for their memory to be given back."""
KEPT = 16
"""Of a slot that keeps no more than one token in so many, the rest is given back."""
_LEARNING = 0.2


class Placement:
    """Copies, cuts and swaps the KV caches of ``context`` as ``cache`` chooses."""

    def __init__(
        self, context: LlamaContext, cache: Cache, swap: Swap, pace: Pace, counters: Counters
    ) -> None:
        self._context = context
        self._cache = cache
        self._swap = swap
        self._pace = pace
        self._counters = counters
        self.store: Store | None = None
        self.swap_seconds = 0.0
        """What it took to swap a slot's cache out and another in, lately."""

    def put(self, sequence: Sequence, choice: Choice) -> None:
        """Put ``sequence`` into its slot, and what it shares with the source into the cache."""
        started = time.perf_counter()
        common = self._prepare(choice)
        if isinstance(choice.source, Swapped):
            seconds = time.perf_counter() - started
            self.swap_seconds += (seconds - self.swap_seconds) * _LEARNING
        self._cache.occupy(choice.slot, sequence)
        sequence.position = common
        if not sequence.made:
            sequence.reused = common
        self._counters.prompt_tokens_reused += common

    def _prepare(self, choice: Choice) -> int:
        """Make the slot's cache what ``choice`` says; how many tokens it has then."""
        slot, source, context = choice.slot, choice.source, self._context
        lost = choice.lost
        if lost >= SWAP_FROM:
            self._counters.evictions += 1
            self._swap_out(slot, lost)
        if source is not slot or not choice.common:
            self._empty(slot, lost)
        if isinstance(source, Swapped):
            common = context.restore(slot.index, source.state, len(source.tokens), choice.common)
            self._swap.taken(source, common)
            self._counters.swapped_in += 1
            return common
        if isinstance(source, Stored):
            return self._load(slot, source, choice.common)
        if source is slot:
            return self._cut(slot, choice.common, lost)
        if not choice.common:
            return 0
        return context.copy(source.index, slot.index, len(source.cached), choice.common)

    def _empty(self, slot: Slot, lost: int) -> None:
        """Let ``slot`` cache nothing, where it had ``lost`` tokens; many give back their memory."""
        self._context.keep(slot.index, 0)
        if lost * self._context.cell_bytes >= RELEASED:
            self._context.release(slot.index)

    def _cut(self, slot: Slot, count: int, lost: int) -> int:
        """Let ``slot`` cache its first ``count`` tokens, without ``lost`` others; how many it has.

        Cells are given back all at once, so the few that stay of many are copied.
        """
        context = self._context
        kept = context.keep(slot.index, count)
        if not kept or kept * KEPT > lost or lost * context.cell_bytes < RELEASED:
            return kept
        state = self._saved(slot)
        if state is None:
            return kept
        self._empty(slot, lost)
        return context.restore(slot.index, state, kept, kept)

    def _load(self, slot: Slot, source: Stored, common: int) -> int:
        """Let ``slot`` cache what is in a file, or nothing if that is damaged."""
        state = self.store.load(source) if self.store is not None else None
        if state is None:
            return 0
        self._counters.restored += 1
        return self._context.restore(slot.index, state, len(source.tokens), common)

    def close_gaps(self) -> bool:
        """Move sequences until all have neighbouring slots; whether any was moved.

        None is while that takes longer than it saves.
        """
        gaps = self._cache.gaps()
        if not self._pace.may_move(sum(self._cache.size(slot) for pair in gaps for slot in pair)):
            return False
        for mover, hole in gaps:
            self._move(mover, hole)
        return bool(gaps)

    def _saved(self, slot: Slot) -> State | None:
        """The state of ``slot``, None if llama.cpp cannot tell it."""
        size = self._context.state_size(slot.index)
        started = time.perf_counter()
        state = self._context.save(slot.index, size)
        self._pace.copied(size, time.perf_counter() - started)
        return state

    def _move(self, mover: Slot, hole: Slot) -> None:
        """Let the sequence of ``mover`` and the cache of ``hole`` change places."""
        context, sequence = self._context, mover.sequence
        assert sequence is not None
        state = self._saved(mover)
        other = self._saved(hole) if hole.tokens else None
        if state is None:
            return
        count = sequence.position
        sequence.position = context.restore(hole.index, state, count, count)
        self._empty(mover, count)
        count, kept = len(hole.tokens), 0
        if other is not None:
            kept = context.restore(mover.index, other, count, count)
        self._cache.move(mover, hole)
        mover.tokens = mover.tokens[:kept]
        self._counters.moves += 1

    def _swap_out(self, slot: Slot, lost: int) -> None:
        """Keep the state of ``slot``, which another sequence takes and which loses ``lost`` tokens.

        Not one that is too large, that is kept already, or that is computed again sooner.
        """
        tokens = slot.tokens
        if self._swap.holds(tokens, slot.adapters):
            return
        size = self._context.state_size(slot.index)
        if size > self._swap.limit or not self._pace.pays(size, lost):
            return
        state = self._saved(slot)
        if state is not None:
            first = self._context.first_saved(slot.index, len(tokens))
            self._swap.add(Swapped(tokens, first, state, slot.adapters))
            self._counters.swapped_out += 1

    def drop(self, slot: Slot) -> None:
        """Forget what ``slot`` caches."""
        self._empty(slot, len(slot.tokens))
        slot.tokens = []

    def drop_all(self) -> None:
        """Forget what all slots cache, and all that was swapped out."""
        for slot in self._cache.slots:
            self.drop(slot)
        self._swap.clear()
