"""How a guest's blocked call is woken."""

import os
import select
import threading

from .errors import Interrupted

_LONGEST_POLL = 2**31 - 1
"""Milliseconds that poll(2) can wait."""


class Waker:
    """Wakes the guest's thread out of any wait, for good. ``waiting`` is whether it is in one."""

    def __init__(self) -> None:
        self.waiting = False
        self.fd, self._write = os.pipe()
        self._interrupted = False
        self._lock = threading.Lock()

    def wait(self, fd: int, events: int, seconds: float | None = None) -> bool:
        """Whether one of ``events`` (POLLIN, POLLOUT) came on ``fd`` within ``seconds``.

        Raises Interrupted once ``interrupt`` was called.
        """
        poller = self.poller()
        poller.register(fd, events)
        return bool(self.poll(poller, None if seconds is None else seconds * 1000))

    def sleep(self, seconds: float) -> None:
        """Wait; raises Interrupted."""
        self.poll(self.poller(), seconds * 1000)

    def poller(self) -> select.poll:
        """A new poller for ``poll``."""
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        return poller

    def poll(self, poller: select.poll, milliseconds: float | None) -> list[tuple[int, int]]:
        """Wait on one of poller()'s: the host descriptors and events that are ready, if any.

        Raises Interrupted once ``interrupt`` was called.
        """
        if milliseconds is not None and milliseconds > _LONGEST_POLL:
            milliseconds = _LONGEST_POLL
        self.waiting = True
        ready = poller.poll(milliseconds)
        self.waiting = False
        if self._interrupted:
            raise Interrupted("a host call was interrupted: the guest is being stopped")
        return ready

    def interrupt(self) -> None:
        """Make this and every later wait raise Interrupted. Any thread, any number of times."""
        with self._lock:
            if not self._interrupted:
                self._interrupted = True
                os.close(self._write)

    def close(self) -> None:
        """Free both descriptors."""
        self.interrupt()
        os.close(self.fd)
