"""The one thread that calls llama.cpp's computing functions.

Each thread that calls them gets a team of OpenMP threads of its own, and teams of more threads
than there are CPUs stop spinning at their barriers and crawl. So all engines share this one.
"""

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from .contention import Contention

_log = logging.getLogger("llamaedge_host.nn")

UNLOADED = "the model is being unloaded"
"""Why a worker that finishes abandons what it has not computed."""


class Worker(Protocol):
    """What the thread computes for: an engine. All its methods are called by the thread."""

    def begin_step(self) -> bool:
        """Get ready; whether there is something to compute."""

    def step(self) -> None:
        """Compute a little."""

    def patience(self) -> float | None:
        """Seconds after which to look again though no one has asked; None for never."""

    def abandon(self, reason: str) -> None:
        """End everything unfinished, as failed for ``reason``."""

    def finish(self) -> None:
        """Abandon what is unfinished and free the context."""


class ComputeThread:
    """Steps its workers in turn; sleeps when none has anything to compute."""

    def __init__(self) -> None:
        self.contention = Contention()
        self._mail: SimpleQueue[tuple[Callable[[Any], None], Any, Worker | None]] = SimpleQueue()
        self._workers: list[Worker] = []
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def post(
        self, call: Callable[[Any], None], argument: Any, worker: Worker | None = None
    ) -> None:
        """Call ``call(argument)`` in the thread, before its next step. Any thread.

        If it fails, what ``worker`` computes fails with it, and nothing else.
        """
        self._mail.put((call, argument, worker))

    def add(self, worker: Worker) -> None:
        """Step ``worker`` from now on. Any thread."""
        with self._lock:
            self.post(self._workers.append, worker)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="llama-compute", daemon=True)
                self._thread.start()

    def remove(self, worker: Worker) -> None:
        """Finish ``worker`` and wait for that; with the last one the thread ends. Any thread."""
        with self._lock:
            if self._thread is None:
                return
            done = threading.Event()
            self.post(self._remove, (worker, done))
            done.wait()
            if not self._workers:
                self._thread.join()
                self._thread = None

    def _remove(self, what: tuple[Worker, threading.Event]) -> None:
        worker, done = what
        try:
            self._workers.remove(worker)
            worker.finish()
        finally:
            done.set()

    def _run(self) -> None:
        while not self._workers:
            self._read(None)  # what was posted to engines that are gone comes first
        while self._workers:
            if not sum([_step(worker) for worker in self._workers]):
                self.contention.rest()
                waits = [_patience(worker) for worker in self._workers]
                self._read(min((wait for wait in waits if wait is not None), default=None))
                self.contention.work()
            while not self._mail.empty():
                self._read(None)
        self.contention.end()

    def _read(self, timeout: float | None) -> None:
        try:
            call, argument, worker = self._mail.get(timeout=timeout)
        except Empty:
            return
        try:
            call(argument)
        except Exception as error:
            _abandon(worker, "a call", error)


def _step(worker: Worker) -> bool:
    """Step ``worker``; whether it had anything to compute."""
    try:
        if not worker.begin_step():
            return False
        worker.step()
    except Exception as error:
        return _abandon(worker, "a step", error)
    return True


def _patience(worker: Worker) -> float | None:
    try:
        return worker.patience()
    except Exception as error:
        _abandon(worker, "a look at the time", error)
        return None


def _abandon(worker: Worker | None, what: str, error: Exception) -> bool:
    """Let ``error``, a bug, fail the work of ``worker`` alone; whether that could be ended."""
    _log.error("[WASI-NN] GGML backend: %s failed", what, exc_info=error)
    try:
        if worker is not None:
            worker.abandon(f"{what} failed: {error}")
    except Exception:
        _log.exception("[WASI-NN] GGML backend: what failed could not be ended")
        return False
    return True
