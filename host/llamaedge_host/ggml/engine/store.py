"""State files of conversations that rest: they outlive their process."""

import logging
import os
import threading
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue

from ...nn.errno import NnErrno
from ..errors import GgmlError
from ..llama.adapters import Scales
from ..llama.context import State
from . import states
from .prefixes import Prefixes
from .states import StateFileError, Stored

_log = logging.getLogger("llamaedge_host.nn")

SUFFIX = ".kv"
_Work = tuple[list[int], int, State, Scales] | threading.Event


def private_folder(folder: Path, option: str) -> Path:
    """``folder``, made if it is not there, which only this user can change.

    llama.cpp trusts the states that it is given. Raises GgmlError, which names ``option``.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise _unusable(option, folder, error.strerror or str(error)) from None
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        raise _unusable(option, folder, "others may write there; chmod 700 it, or name another")
    return folder


def _unusable(option: str, folder: Path, why: str) -> GgmlError:
    return GgmlError(NnErrno.INVALID_ARGUMENT, f"{option}: {folder} cannot be used: {why}")


class Store:
    """The state files of one engine in ``folder``, where others' may be too.

    All of them take at most ``limit`` bytes; the least recently used go. Those of what has not this
    ``identity``, or more than ``cells`` tokens, are left alone. A thread writes; all else is the
    engine's thread's.
    """

    def __init__(self, folder: Path, limit: int, identity: str, cells: int) -> None:
        self._folder = folder
        self._limit = limit
        self._identity = identity
        self._work: SimpleQueue[_Work] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.pending = 0
        """States that are still to be written."""
        self._known = Prefixes[Stored]()
        self._by_path: dict[Path, Stored] = {}
        for path in sorted(folder.glob(f"{identity[:16]}-*{SUFFIX}")):
            found = self._found(path)
            if found is not None and len(found.tokens) <= cells:
                self._add(found)

    @property
    def entries(self) -> list[Stored]:
        """What is in files."""
        with self._lock:
            return list(self._known)

    def nearest(self, tokens: list[int], adapters: Scales) -> list[Stored]:
        """The entries, two at most, one of which shares as many first tokens as any does."""
        with self._lock:
            return self._known.nearest(tokens, adapters)

    def _add(self, entry: Stored) -> Stored | None:
        """Know ``entry``, in the place of the one that it goes on from, which is answered."""
        if self._known.holding(entry.tokens, entry.adapters) is not None:
            return None
        begun = self._known.begun(entry.tokens, entry.adapters)
        if begun is not None:
            self._forget(begun)
        self._known.add(entry)
        self._by_path[entry.path] = entry
        return begun

    def _forget(self, entry: Stored) -> None:
        if self._by_path.get(entry.path) is entry:
            del self._by_path[entry.path]
            self._known.remove(entry)

    def _found(self, path: Path) -> Stored | None:
        try:
            return states.read(path, self._identity)
        except (StateFileError, OSError) as error:
            _ignored(path, error)
            return None

    def has(self, tokens: list[int], adapters: Scales) -> bool:
        """Whether the cache of ``tokens``, computed with ``adapters``, is in a file."""
        with self._lock:
            return self._known.holding(tokens, adapters) is not None

    def keep(self, tokens: list[int], first: int, state: State, adapters: Scales) -> None:
        """Write a state, soon, in the place of those that it goes on from."""
        with self._lock:
            self.pending += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, daemon=True)
                self._thread.start()
        self._work.put((tokens, first, state, adapters))

    def load(self, stored: Stored) -> State | None:
        """The state of one of ``entries``; None, and no entry any more, if it is damaged."""
        try:
            state = states.read_state(stored, self._identity)
            os.utime(stored.path)
            return state
        except (StateFileError, OSError) as error:
            _ignored(stored.path, error)
            with self._lock:
                self._forget(stored)
            return None

    def flush(self, seconds: float) -> None:
        """Wait until all is written, so many seconds at most."""
        if self._thread is not None:
            written = threading.Event()
            self._work.put(written)
            written.wait(seconds)

    def _write_all(self) -> None:
        while True:
            work = self._work.get()
            if isinstance(work, threading.Event):
                work.set()
                continue
            try:
                self._write(*work)
            except OSError as error:
                _log.warning("[WASI-NN] GGML backend: no state is kept: %s", error)
            finally:
                with self._lock:
                    self.pending -= 1

    def _write(self, tokens: list[int], first: int, state: State, adapters: Scales) -> None:
        if state.nbytes > self._limit or self.has(tokens, adapters):
            return
        digest = sha256(repr((adapters, tokens)).encode()).hexdigest()
        path = self._folder / f"{self._identity[:16]}-{digest[:32]}{SUFFIX}"
        made = states.write(path, self._identity, tokens, first, state, adapters)
        with self._lock:
            begun = self._add(made)
        if begun is not None:
            begun.path.unlink(missing_ok=True)
        self._bound(path)

    def _bound(self, newest: Path) -> None:
        """Remove the files that were used longest ago, of any model, until all are in bounds."""
        files = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            with suppress(OSError):
                status = path.stat()
                files.append((path == newest, status.st_mtime_ns, status.st_size, path))
        files.sort()
        total = sum(size for _, _, size, _ in files)
        for _, _, size, path in files:
            if total <= self._limit:
                return
            path.unlink(missing_ok=True)
            total -= size
            with self._lock:
                if path in self._by_path:
                    self._forget(self._by_path[path])


def _ignored(path: Path, error: Exception) -> None:
    _log.warning("[WASI-NN] GGML backend: the state file %s is ignored: %s", path, error)
