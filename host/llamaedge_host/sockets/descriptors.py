"""The socket descriptors of one guest."""

import errno
import heapq
import os
from collections.abc import Callable

from ..preview1.errnos import Errno
from .socket import Socket

FIRST = 65536
"""The lowest socket descriptor: lower ones are files, which wasmtime holds."""


class Descriptors:
    """Numbers for open sockets, the lowest free one from FIRST on.

    A socket may be given a file's number. ``sockets`` is the table itself: host functions look a
    descriptor up in it directly. ``version`` changes whenever it does. ``is_file`` says whether
    a number below FIRST is an open file's.
    """

    def __init__(self, limit: int, is_file: Callable[[int], bool]) -> None:
        self.sockets: dict[int, Socket] = {}
        self.version = 0
        self._limit = limit
        self._is_file = is_file
        self._free: list[int] = []
        self._next = FIRST

    def is_file(self, number: int) -> bool:
        """Whether ``number`` is an open file's, standard streams and directories included."""
        return number < FIRST and number not in self.sockets and self._is_file(number)

    def absent(self, number: int) -> Errno:
        """What a socket function answers for ``number``, which is no open socket's.

        NOTSOCK: an open file's; BADF: nothing's.
        """
        return Errno.NOTSOCK if self.is_file(number) else Errno.BADF

    def check_room(self) -> None:
        """Raise OSError (EMFILE) at the limit."""
        if len(self.sockets) >= self._limit:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def add(self, socket: Socket) -> int:
        """The number that ``socket`` has from now on."""
        if self._free:
            number = heapq.heappop(self._free)
        else:
            number = self._next
            self._next += 1
        self.sockets[number] = socket
        self.version += 1
        return number

    def remove(self, number: int) -> None:
        """Close the socket and free its number."""
        self._take(number).close()

    def renumber(self, source: int, target: int) -> None:
        """Give ``source``'s socket the number ``target``, closing the socket that had it."""
        replaced = self.sockets.get(target)
        self.sockets[target] = self._take(source)
        if replaced is not None:
            replaced.close()

    def _take(self, number: int) -> Socket:
        socket = self.sockets.pop(number)
        self.version += 1
        if number >= FIRST:
            heapq.heappush(self._free, number)
        return socket

    def close(self) -> None:
        """Close every socket."""
        for number in tuple(self.sockets):
            self.remove(number)
