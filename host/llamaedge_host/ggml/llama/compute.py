"""The one thread that calls llama.cpp's computing functions.

Each thread that calls them gets a team of OpenMP threads of its own, and teams of more threads
than there are CPUs stop spinning at their barriers and crawl. So all engines share this one.
"""

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Protocol

_log = logging.getLogger("llamaedge_host.nn")


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
        self._mail: SimpleQueue[tuple[Callable[[Any], None], Any]] = SimpleQueue()
        self._workers: list[Worker] = []
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def post(self, call: Callable[[Any], None], argument: Any) -> None:
        """Call ``call(argument)`` in the thread, before its next step. Any thread."""
        self._mail.put((call, argument))

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
            done = threading.Event()
            self.post(self._remove, (worker, done))
            done.wait()
            if self._thread is not None and not self._workers:
                self._thread.join()
                self._thread = None

    def _remove(self, what: tuple[Worker, threading.Event]) -> None:
        worker, done = what
        self._workers.remove(worker)
        worker.finish()
        done.set()

    def _run(self) -> None:
        while not self._workers:
            self._read(None)  # what was posted to engines that are gone comes first
        while self._workers:
            if not sum(map(_step, self._workers)):
                waits = (worker.patience() for worker in self._workers)
                self._read(min((wait for wait in waits if wait is not None), default=None))
            while not self._mail.empty():
                self._read(None)

    def _read(self, timeout: float | None) -> None:
        try:
            call, argument = self._mail.get(timeout=timeout)
        except Empty:
            return
        call(argument)


def _step(worker: Worker) -> bool:
    """Step ``worker``; whether it had anything to compute. A bug in it fails its work alone."""
    try:
        if not worker.begin_step():
            return False
        worker.step()
    except Exception as error:
        _log.exception("[WASI-NN] GGML backend: a step failed")
        worker.abandon(f"a step failed: {error}")
    return True
