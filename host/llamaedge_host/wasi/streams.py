"""The guest's standard streams, served here so that a guest that waits for one can be stopped."""

import errno
import os
import select
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import HostError
from ..waker import Waker

STDIN, STDOUT, STDERR = range(3)

Output = Callable[[bytes], None]
"""Takes each write of a guest."""


class Streams:
    """The guest's descriptors 0, 1 and 2 on the host's, or on functions.

    ``stdin`` is an open file's descriptor, ``stdout`` and ``stderr`` are functions; None is this
    process's own stream. What the guest closes stays open here.
    """

    def __init__(
        self, stdin: int | None, stdout: Output | None, stderr: Output | None, waker: Waker
    ) -> None:
        self.nonblocking = False
        self._waker = waker
        self._file = stdin
        self._input: int | None = STDIN if stdin is None else stdin
        self._outputs: dict[int, Output | None] = {STDOUT: stdout, STDERR: stderr}

    def reads(self, fd: int) -> bool:
        """Whether the guest's ``fd`` is read here."""
        return fd == STDIN and self._input is not None

    def writes(self, fd: int) -> bool:
        """Whether the guest's ``fd`` is written here."""
        return fd in self._outputs

    def host(self, fd: int) -> int | None:
        """The host descriptor to poll for the guest's ``fd``; None for one always ready."""
        if fd == STDIN:
            return self._input
        return fd if fd in self._outputs and self._outputs[fd] is None else None

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read standard input into ``buffers``; bytes, 0 at the end.

        Raises OSError, and Interrupted.
        """
        if self._input is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if not self._waker.wait(self._input, select.POLLIN, 0 if self.nonblocking else None):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.readv(self._input, buffers)

    def write(self, fd: int, data: Sequence[memoryview]) -> int:
        """Write all of ``data`` to ``fd``; bytes, less if it fails after some.

        Raises OSError, and Interrupted.
        """
        joined = data[0] if len(data) == 1 else memoryview(b"".join(data))
        output = self._outputs[fd]
        if output is None:
            return self._write(fd, joined)
        if joined:
            output(bytes(joined))
        return len(joined)

    def log(self, fd: int, line: bytes) -> None:
        """Write all of ``line`` to the guest's standard output or error.

        What fails is lost, and so is all after the guest has closed the stream.
        """
        if fd in self._outputs:
            with suppress(OSError):
                self.write(fd, [memoryview(line)])

    def _write(self, fd: int, data: memoryview) -> int:
        total = 0
        while total < len(data):
            try:
                self._waker.wait(fd, select.POLLOUT)
                total += os.write(fd, data[total:][: _atomic(fd)])
            except OSError:
                if total:
                    break
                raise
        return total

    def forget(self, fd: int) -> None:
        """The guest has closed or replaced ``fd``: it is wasmtime's from now on."""
        if fd == STDIN:
            self._input = None
        self._outputs.pop(fd, None)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)


def open_file(path: Path) -> int:
    """A descriptor to read ``path``; raises HostError."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a named pipe would wait for its writer
    except OSError as error:
        raise HostError(f"cannot read the standard input {path}: {error.strerror}") from None


def _atomic(fd: int) -> int | None:
    """Bytes that can be written without blocking once poll(2) says so; None is any number."""
    return None if stat.S_ISREG(os.fstat(fd).st_mode) else select.PIPE_BUF
