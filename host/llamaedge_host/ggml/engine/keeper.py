"""Keeps states of slots in files: by itself while nothing is computed, and when it is asked."""

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from weakref import WeakSet

from ...nn.errno import NnErrno
from ..errors import GgmlError
from ..llama.adapters import AdapterFile
from ..llama.context import ContextParameters, LlamaContext, State
from ..llama.identity import identity
from ..llama.model import Model
from . import states
from .cache import Cache, Slot
from .placement import Placement
from .states import StateFileError
from .store import Store
from .swap import Swap, Swapped

REST = 2.0
"""Seconds without anything to compute after which states are written."""
LEAST = 64
"""Tokens that a state must have to be worth a file."""
LAST = 8.0
"""Seconds that writing may take at the end."""


class Keeper:
    """For the thread of an engine with ``cache``, whose context was made with ``parameters``."""

    def __init__(
        self,
        model: Model,
        parameters: ContextParameters,
        context: LlamaContext,
        cache: Cache,
        placement: Placement,
        swap: Swap,
        adapters: Sequence[AdapterFile],
    ) -> None:
        self._model = model
        self._parameters = parameters
        self._context = context
        self._cache = cache
        self._placement = placement
        self._swap = swap
        self._adapters = adapters
        self._store: Store | None = None
        self._since = time.monotonic()
        self._changed = False
        self._seen = WeakSet[Swapped]()
        self._seen_in: dict[int, list[int]] = {}
        """Of each slot, the tokens that were written, or found written, last."""

    @cached_property
    def identity(self) -> str:
        """What tells whether a state is one of this context. Raises GgmlError."""
        return identity(self._model, self._parameters, self._adapters)

    def use(self, folder: Path, limit: int) -> None:
        """Keep what rests in ``folder``, and find what is there. Raises GgmlError."""
        store = Store(folder, limit, self.identity, self._context.cells)
        self._store = self._cache.store = self._placement.store = store
        self._swap.dropped = self._dropped

    def works(self) -> None:
        """A step is computed."""
        self._since = time.monotonic()
        self._changed = True

    def patience(self) -> float | None:
        """Seconds until something is to be written; None for never."""
        if self._store is None or not self._changed:
            return None
        return max(self._since + REST - time.monotonic(), 0.05)

    def rests(self) -> None:
        """Nothing is computed: write one state, if it is time."""
        store = self._store
        if store is None or not self._changed or store.pending:
            return
        if time.monotonic() - self._since < REST:
            return
        if (found := next(self._unsaved(store), None)) is None:
            self._changed = False
        else:
            self._keep(store, found)

    def end(self) -> None:
        """Write what is not in files yet, within LAST seconds."""
        store = self._store
        if store is None:
            return
        deadline = time.monotonic() + LAST
        store.flush(LAST)
        unsaved = self._unsaved(store)
        while time.monotonic() < deadline and (found := next(unsaved, None)) is not None:
            self._keep(store, found)
            store.flush(deadline - time.monotonic())

    def _unsaved(self, store: Store) -> Iterator[Slot | Swapped]:
        """What no file has, each once: one that found no room there is not written again."""
        for slot in self._cache.free():
            if self._seen_in.get(slot.index) is not slot.tokens:
                self._seen_in[slot.index] = slot.tokens
                if _worth(slot.tokens) and not store.has(slot.tokens, slot.adapters):
                    yield slot
        for entry in self._swap.entries:
            if entry not in self._seen:
                self._seen.add(entry)
                if _worth(entry.tokens) and not store.has(entry.tokens, entry.adapters):
                    yield entry

    def _keep(self, store: Store, found: Slot | Swapped) -> None:
        if isinstance(found, Swapped):
            store.keep(found.tokens, found.first, found.state, found.adapters)
            return
        state, first = self._saved(found)
        store.keep(found.tokens, first, state, found.adapters)

    def _dropped(self, entry: Swapped) -> None:
        """The memory is full: ``entry`` goes to a file, unless others are being written."""
        store = self._store
        if store is None or store.pending or not _worth(entry.tokens):
            return
        if not store.has(entry.tokens, entry.adapters):
            store.keep(entry.tokens, entry.first, entry.state, entry.adapters)

    def _saved(self, slot: Slot) -> tuple[State, int]:
        context = self._context
        state = context.save(slot.index, context.state_size(slot.index))
        if state is None:
            raise GgmlError(NnErrno.RUNTIME_ERROR, "llama.cpp cannot tell the slot's state")
        return state, context.first_saved(slot.index, len(slot.tokens))

    def save(self, number: int, path: Path) -> tuple[int, int]:
        """Write what slot ``number`` caches to ``path``; its tokens, and the bytes of the file.

        Raises GgmlError: BUSY while a sequence is in it, INVALID_ARGUMENT for a slot that is not
        there, UNSUPPORTED_OPERATION for a picture in it.
        """
        slot = self._free(number)
        if any(token < 0 for token in slot.tokens):
            raise GgmlError(
                NnErrno.UNSUPPORTED_OPERATION,
                f"slot {number} has a picture or a recording, whose state cannot be saved",
            )
        state, first = self._saved(slot)
        try:
            made = states.write(path, self.identity, slot.tokens, first, state, slot.adapters)
        except OSError as error:
            reason = f"{path.name} cannot be written: {error.strerror}"
            raise GgmlError(NnErrno.RUNTIME_ERROR, reason) from None
        return len(slot.tokens), made.size

    def restore(self, number: int, path: Path) -> tuple[int, int]:
        """Let slot ``number`` cache what is in the file ``path``; its tokens, and the bytes read.

        The slot is empty if that fails. Raises GgmlError as save() does, INVALID_ARGUMENT also for
        a file that is not this context's.
        """
        slot = self._free(number)
        self._placement.drop(slot)
        try:
            stored = states.read(path, self.identity)
            state = states.read_state(stored, self.identity)
        except StateFileError as error:
            raise _unrestored(path, str(error)) from None
        except OSError as error:
            raise _unrestored(path, error.strerror or str(error)) from None
        count = len(stored.tokens)
        if count > self._context.cells:
            raise _unrestored(path, f"it has {count} tokens, a slot {self._context.cells}")
        if self._context.restore(slot.index, state, count, count) != count:
            raise _unrestored(path, "llama.cpp refuses it")
        slot.tokens, slot.adapters = stored.tokens, stored.adapters
        return count, stored.size

    def erase(self, number: int) -> int:
        """Forget what slot ``number`` caches; how many tokens. Raises GgmlError as save() does."""
        slot = self._free(number)
        count = len(slot.tokens)
        self._placement.drop(slot)
        return count

    def _free(self, number: int) -> Slot:
        if not 0 <= number < len(self._cache.slots):
            raise GgmlError(
                NnErrno.INVALID_ARGUMENT,
                f"there is no slot {number}; the last one is {len(self._cache.slots) - 1}",
            )
        slot = self._cache.slots[number]
        if slot.sequence is not None:
            raise GgmlError(NnErrno.BUSY, f"slot {number} is busy")
        return slot


def _worth(tokens: list[int]) -> bool:
    """Whether a file is worth it: a picture's tokens say nothing to another process."""
    return len(tokens) >= LEAST and min(tokens) >= 0


def _unrestored(path: Path, why: str) -> GgmlError:
    return GgmlError(NnErrno.INVALID_ARGUMENT, f"{path.name} cannot be restored: {why}")
