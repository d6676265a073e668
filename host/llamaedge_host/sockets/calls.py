"""sock_open, sock_bind, sock_listen, sock_accept, sock_connect and sock_shutdown.

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
    Family,
    Kind,
    read_address,
)
from .descriptors import Descriptors
from .network import Network
from .socket import Socket

_SHUTDOWNS = {1: socket.SHUT_RD, 2: socket.SHUT_WR, 3: socket.SHUT_RDWR}
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
        second: Imports = {("sock_accept", "iii"): self.accept}
        named = {(f"{name}_v2", params): call for (name, params), call in (both | second).items()}
        first: Imports = {
            ("sock_accept", "ii"): self.accept_v1,
            ("sock_shutdown", "ii"): self.shutdown,
        }
        return both | second | named | first

    @answers_errno
    def open(self, family: int, kind: int, new_fd: int) -> int:
        """``sock_open``: make a socket.

        Parameters:
            family: 1 INET4, 2 INET6, 3 AF_UNIX.
            kind: 1 DGRAM, 2 STREAM.
            new_fd: where its descriptor is written, u32.

        Result:
            ADDRNOTAVAIL: ``new_fd`` is misaligned.
            INVAL: an unknown or unspecified family or type.
            NOSYS: AF_UNIX, unless it is allowed.
            MFILE: too many sockets.
            ACCES: the network refuses.

        Like socket(2). The descriptor is the lowest free one from 65536 on.
        See WasmEdge's WasiSockOpenV1.
        """
        if new_fd & 3:
            return MISALIGNED
        written = self._memory.view(new_fd, 4)
        if family not in (Family.INET4, Family.INET6, Family.UNIX):
            return Errno.INVAL
        if kind not in (Kind.DGRAM, Kind.STREAM):
            return Errno.NOSYS if family == Family.UNIX else Errno.INVAL
        self._descriptors.check_room()
        opened = self._network.open(Family(family), Kind(kind))
        written[:] = self._descriptors.add(opened).to_bytes(4, "little")
        return Errno.SUCCESS

    @answers_errno
    def bind(self, fd: int, address: int, port: int) -> int:
        """``sock_bind``: give a socket its address.

        Parameters:
            fd: the socket.
            address: an address structure, whose buffer is 4, 16 or 128 bytes.
            port: in host order; only the low 16 bits count.

        Result:
            ADDRNOTAVAIL: ``address`` is misaligned, or not one of this machine's.
            INVAL: a buffer of another size, or the socket is bound already.
            BADF: ``fd`` is not open.
            NOTSOCK: ``fd`` is a file.
            AFNOSUPPORT: the address is of another family.
            ADDRINUSE: another socket has the address.
            ACCES: the host or the network refuses.

        Like bind(2). See WasmEdge's WasiSockBindV1 and WasiSockBindV2.
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
        """``sock_listen``: accept connections from now on.

        Parameters:
            fd: the socket.
            backlog: connections that may wait, 4,096 at most.

        Result:
            BADF: ``fd`` is not open.
            NOTSOCK: ``fd`` is a file.
            NOTSUP: a datagram socket.
            ADDRINUSE: another socket listens on the address.
            INVAL: the socket is connected.
            ACCES: the network refuses.

        Like listen(2). See WasmEdge's WasiSockListenV1.
        """
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        guest.listen(min(backlog, _LONGEST_BACKLOG))
        return Errno.SUCCESS

    def accept_v1(self, fd: int, new_fd: int) -> int:
        """``sock_accept`` of V1: accept without flags.

        Parameters:
            fd: the listening socket.
            new_fd: where the connection's descriptor is written, u32.

        Result: as accept's. See WasmEdge's WasiSockAcceptV1.
        """
        return self.accept(fd, 0, new_fd)

    @answers_errno
    def accept(self, fd: int, flags: int, new_fd: int) -> int:
        """``sock_accept``: take the next connection; blocks unless ``fd`` is non-blocking.

        Parameters:
            fd: the listening socket.
            flags: fdflags of the connection, of which NONBLOCK (4) counts.
            new_fd: where its descriptor is written, u32.

        Result:
            ADDRNOTAVAIL: ``new_fd`` is misaligned.
            INVAL: unknown flags, or the socket does not listen.
            BADF: ``fd`` is not open.
            NOTSOCK: ``fd`` is a file.
            AGAIN: none waits and ``fd`` is non-blocking, or SO_RCVTIMEO is over.
            MFILE: too many sockets.
            NOTSUP: a datagram socket.

        Like accept(2), but the connection blocks whatever the listener does.
        See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#sock_accept
        """
        if new_fd & 3:
            return MISALIGNED
        written = self._memory.view(new_fd, 4)
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
        written[:] = self._descriptors.add(accepted).to_bytes(4, "little")
        return Errno.SUCCESS

    @answers_errno
    def connect(self, fd: int, address: int, port: int) -> int:
        """``sock_connect``: connect; blocks unless ``fd`` is non-blocking.

        Parameters:
            fd: the socket.
            address: an address structure, whose buffer is 4, 16 or 128 bytes.
            port: in host order; only the low 16 bits count.

        Result:
            ADDRNOTAVAIL: ``address`` is misaligned.
            INVAL: a buffer of another size.
            BADF: ``fd`` is not open.
            NOTSOCK: ``fd`` is a file.
            AFNOSUPPORT: the address is of another family.
            INPROGRESS: non-blocking and begun, or SO_SNDTIMEO is over.
            ALREADY: non-blocking, and under way since before.
            ISCONN: connected already.
            CONNREFUSED, TIMEDOUT, NETUNREACH, HOSTUNREACH: the far end cannot be reached.
            ACCES: the host or the network refuses.

        Like connect(2). See WasmEdge's WasiSockConnectV1 and WasiSockConnectV2.
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
        """``sock_shutdown``: end one direction of a connection, or both.

        Parameters:
            fd: the socket.
            how: 1 read, 2 write, 3 both.

        Result:
            INVAL: another ``how``.
            BADF: ``fd`` is not open.
            NOTSOCK: ``fd`` is a file.
            NOTCONN: the socket is not connected.

        Like shutdown(2).
        See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#sock_shutdown
        """
        end = _SHUTDOWNS.get(how)
        if end is None:
            return Errno.INVAL
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        guest.host.shutdown(end)
        return Errno.SUCCESS
