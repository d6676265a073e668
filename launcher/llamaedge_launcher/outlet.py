"""A standard stream that nobody may be reading."""

import os
import select
import stat
import threading
from contextlib import suppress

_ATOMIC = 4096  # bytes that a pipe that is ready takes at once (PIPE_BUF)


class Outlet:
    """Writes to the descriptor ``fd`` and never waits for whoever reads it.

    What a full pipe does not take is lost, and so is everything where nobody reads any more.
    """

    encoding = "utf-8"

    def __init__(self, fd: int) -> None:
        self._fd, self._waits = _own(fd)
        self._poller = select.poll()
        self._poller.register(self._fd, select.POLLOUT)
        self._writing = threading.Lock()

    def __call__(self, data: bytes) -> None:
        """Write ``data``."""
        rest = memoryview(data)
        with self._writing, suppress(OSError):
            while rest and not (self._waits and not self._poller.poll(0)):
                rest = rest[os.write(self._fd, rest[:_ATOMIC]) :]

    def write(self, text: str) -> int:
        """As a text file's."""
        self(text.encode(errors="replace"))
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""

    def isatty(self) -> bool:
        """It is none."""
        return False

    def fileno(self) -> int:
        """The descriptor that it writes to."""
        return self._fd


def _own(fd: int) -> tuple[int, bool]:
    """A descriptor for what ``fd`` is, and whether writing to it may wait.

    That of a pipe is opened anew: with those who share ``fd`` we share its flags.
    """
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        with suppress(OSError):
            return os.open(f"/dev/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK), False
    return fd, True
