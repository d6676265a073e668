"""The guest's standard input, read here so that a guest that waits for it can be stopped."""

import errno
import os
import select

from ..sockets.descriptors import Waker

DESCRIPTOR = 0


class Stdin:
    """The host descriptor ``fd`` as the guest's descriptor 0; None where it has none."""

    def __init__(self, fd: int | None, waker: Waker) -> None:
        self.fd = fd
        self.nonblocking = False
        self._waker = waker

    def read(self, rooms: list[memoryview]) -> int:
        """Read into ``rooms``; bytes, 0 at the end. Raises OSError and Interrupted."""
        if self.fd is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if not self._waker.wait(self.fd, select.POLLIN, 0 if self.nonblocking else None):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.readv(self.fd, rooms)

    def forget(self) -> None:
        """The guest has closed or replaced descriptor 0. The host's stays open."""
        self.fd = None
