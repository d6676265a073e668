"""sock_open, sock_bind, sock_listen, sock_accept, sock_connect, sock_shutdown and the addresses.

V1 and V2 of a function that have one type are one function here: it takes both buffer sizes.
Source: WasmEdge's lib/host/wasi/wasifunc.cpp and inode-linux.cpp.
"""

import errno
import select
import socket

from ..imports import Imports
from ..memory import Memory
from ..preview1.errnos import MISALIGNED, Errno, answers_errno, from_os_error
from ..preview1.flags import FDFLAG_NONBLOCK, FDFLAGS
from ..waker import Waker
from .address import (
    ADDRESS,
    STORAGE_SIZE,
    Family,
    Kind,
    read_address,
    write_host,
)
from .descriptors import Descriptors
from .network import Network
from .socket import Socket

_SHUTDOWNS = {1: socket.SHUT_RD, 2: socket.SHUT_WR, 3: socket.SHUT_RDWR}
_V1_TYPES = {Family.INET4: 4, Family.INET6: 6}
_LONGEST_BACKLOG = 4096
_UNDER_WAY = (errno.EINPROGRESS, errno.EALREADY)
_UNIX_QUEUE_RETRY = 0.01
"""Seconds: nothing tells when a Unix listener's queue has room."""


class SocketCalls:
    """Those functions over one guest's descriptors."""

    def __init__(
        self, memory: Memory, descriptors: Descriptors, network: Network, waker: Waker
    ) -> None:
        self._memory = memory
        self._descriptors = descriptors
        self._sockets = descriptors.sockets
        self._network = network
        self._waker = waker

    def imports(self) -> Imports:
        """Every function, V1's and V2's names and types."""
        both: Imports = {
            ("sock_open", "iii"): self.open,
            ("sock_bind", "iii"): self.bind,
            ("sock_listen", "ii"): self.listen,
            ("sock_connect", "iii"): self.connect,
        }
        second: Imports = {
            ("sock_accept", "iii"): self.accept,
            ("sock_getlocaladdr", "iii"): self.getlocaladdr_v2,
            ("sock_getpeeraddr", "iii"): self.getpeeraddr_v2,
        }
        named = {(f"{name}_v2", params): call for (name, params), call in (both | second).items()}
        first: Imports = {
            ("sock_accept", "ii"): self.accept_v1,
            ("sock_getlocaladdr", "iiii"): self.getlocaladdr_v1,
            ("sock_getpeeraddr", "iiii"): self.getpeeraddr_v1,
            ("sock_shutdown", "ii"): self.shutdown,
        }
        return both | second | named | first

    @answers_errno
    def open(self, family: int, kind: int, new_fd: int) -> int:
        """``af, type, *fd``: a new socket.

        ADDRNOTAVAIL: misaligned; INVAL: an unknown or unspecified family or type; NOSYS: AF_UNIX,
        unless it is allowed; MFILE: too many sockets; ACCES: the network refuses.
        """
        if new_fd & 3:
            return MISALIGNED
        room = self._memory.view(new_fd, 4)
        if family not in (Family.INET4, Family.INET6, Family.UNIX):
            return Errno.INVAL
        if kind not in (Kind.DGRAM, Kind.STREAM):
            return Errno.NOSYS if family == Family.UNIX else Errno.INVAL
        self._descriptors.check_room()
        opened = self._network.open(Family(family), Kind(kind))
        room[:] = self._descriptors.add(opened).to_bytes(4, "little")
        return Errno.SUCCESS

    @answers_errno
    def bind(self, fd: int, address: int, port: int) -> int:
        """``fd, *addr, port``: bind to an address.

        ADDRNOTAVAIL: misaligned, or not this machine's; INVAL: a bad buffer, or bound already;
        BADF; NOTSOCK; AFNOSUPPORT: another family's; ADDRINUSE; ACCES: refused.
        """
        if address & 3:
            return MISALIGNED
        where = read_address(self._memory, address, port)
        if where is None:
            return Errno.INVAL
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        guest.bind(where)
        return Errno.SUCCESS

    @answers_errno
    def listen(self, fd: int, backlog: int) -> int:
        """``fd, backlog``: accept connections from now on.

        BADF; NOTSOCK; NOTSUP: a datagram socket; ADDRINUSE; INVAL: connected; ACCES: refused.
        """
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        guest.listen(min(backlog, _LONGEST_BACKLOG))
        return Errno.SUCCESS

    def accept_v1(self, fd: int, new_fd: int) -> int:
        """``fd, *new_fd``: as accept with no flags."""
        return self.accept(fd, 0, new_fd)

    @answers_errno
    def accept(self, fd: int, flags: int, new_fd: int) -> int:
        """``fd, fdflags, *new_fd``: the next connection; blocks unless ``fd`` is non-blocking.

        The new socket blocks, unless ``flags`` has NONBLOCK. ADDRNOTAVAIL: misaligned; INVAL:
        unknown flags, or not listening; BADF; NOTSOCK; AGAIN; MFILE; NOTSUP: a datagram socket.
        """
        if new_fd & 3:
            return MISALIGNED
        room = self._memory.view(new_fd, 4)
        if flags & ~FDFLAGS:
            return Errno.INVAL
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        self._descriptors.check_room()
        while True:
            try:
                accepted = guest.accept()
                break
            except BlockingIOError:
                if guest.nonblocking or not self._waker.wait(
                    guest.fd, select.POLLIN, guest.receive_timeout
                ):
                    return Errno.AGAIN
        accepted.nonblocking = bool(flags & FDFLAG_NONBLOCK)
        accepted.inherit(guest)
        room[:] = self._descriptors.add(accepted).to_bytes(4, "little")
        return Errno.SUCCESS

    @answers_errno
    def connect(self, fd: int, address: int, port: int) -> int:
        """``fd, *addr, port``: connect; blocks unless ``fd`` is non-blocking.

        ADDRNOTAVAIL: misaligned; INVAL: a bad buffer; BADF; NOTSOCK; AFNOSUPPORT: another
        family's; INPROGRESS, ALREADY: non-blocking, and under way; ISCONN; CONNREFUSED;
        TIMEDOUT; NETUNREACH; HOSTUNREACH; ACCES: refused by the host or the network.
        """
        if address & 3:
            return MISALIGNED
        where = read_address(self._memory, address, port)
        if where is None:
            return Errno.INVAL
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        waited = False
        while True:
            try:
                guest.connect(where)
                return Errno.SUCCESS
            except BlockingIOError as error:
                if guest.nonblocking:
                    return from_os_error(error)
                if not self._wait_for_connection(guest, error):
                    return Errno.INPROGRESS
                waited = True
            except OSError as error:
                if waited and error.errno == errno.EISCONN:
                    return Errno.SUCCESS
                raise

    def _wait_for_connection(self, guest: Socket, error: BlockingIOError) -> bool:
        if error.errno not in _UNDER_WAY:
            self._waker.sleep(_UNIX_QUEUE_RETRY)
            return True
        return self._waker.wait(guest.fd, select.POLLOUT, guest.send_timeout)

    @answers_errno
    def shutdown(self, fd: int, how: int) -> int:
        """``fd, how`` (1 read, 2 write, 3 both): end a direction.

        INVAL: another ``how``; BADF; NOTSOCK; NOTCONN.
        """
        end = _SHUTDOWNS.get(how)
        if end is None:
            return Errno.INVAL
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        guest.host.shutdown(end)
        return Errno.SUCCESS

    @answers_errno
    def getlocaladdr_v1(self, fd: int, address: int, kind: int, port: int) -> int:
        """``fd, *addr, *type, *port``: the address bound to, in a buffer of 4 or 16 bytes.

        ``*type`` is 4 or 6, ``*port`` a u32 in host order. ADDRNOTAVAIL: misaligned; INVAL: a
        buffer of another size; BADF; NOTSOCK; NOMEM: an address longer than the buffer.
        """
        return self._answer_v1(fd, address, kind, port, local=True)

    @answers_errno
    def getpeeraddr_v1(self, fd: int, address: int, kind: int, port: int) -> int:
        """``fd, *addr, *type, *port``: the far end's address; as getlocaladdr_v1, and NOTCONN."""
        return self._answer_v1(fd, address, kind, port, local=False)

    @answers_errno
    def getlocaladdr_v2(self, fd: int, address: int, port: int) -> int:
        """``fd, *addr, *port``: the address bound to, in a buffer of 128 bytes.

        ``*port`` is a u32 in host order. ADDRNOTAVAIL: misaligned; INVAL: a buffer of another
        size; BADF; NOTSOCK.
        """
        return self._answer_v2(fd, address, port, local=True)

    @answers_errno
    def getpeeraddr_v2(self, fd: int, address: int, port: int) -> int:
        """``fd, *addr, *port``: the far end's address; as getlocaladdr_v2, and NOTCONN."""
        return self._answer_v2(fd, address, port, local=False)

    def _answer_v1(self, fd: int, address: int, kind: int, port: int, *, local: bool) -> int:
        if (address | kind | port) & 3:
            return MISALIGNED
        memory = self._memory
        room = memory.view(*memory.unpack(ADDRESS, address))
        if len(room) not in (4, 16):
            return Errno.INVAL
        memory.view(kind, 4)
        memory.view(port, 4)
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        where = guest.local() if local else guest.peer()
        if not write_host(room, where):
            return Errno.NOMEM
        memory.set_u32(kind, _V1_TYPES[where.family])
        memory.set_u32(port, where.port)
        return Errno.SUCCESS

    def _answer_v2(self, fd: int, address: int, port: int, *, local: bool) -> int:
        if (address | port) & 3:
            return MISALIGNED
        memory = self._memory
        room = memory.view(*memory.unpack(ADDRESS, address))
        memory.view(port, 4)
        if len(room) != STORAGE_SIZE:
            return Errno.INVAL
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        where = guest.local() if local else guest.peer()
        room[:2] = where.family.to_bytes(2, "little")
        write_host(room[2:], where)
        memory.set_u32(port, where.port)
        return Errno.SUCCESS
