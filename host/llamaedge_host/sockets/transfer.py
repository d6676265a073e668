"""sock_recv, sock_recv_from, sock_send, sock_send_to, and fd_read and fd_write of a socket.

Source: WasmEdge's lib/host/wasi/wasifunc.cpp and inode-linux.cpp.
"""

import errno
import os
import select
import socket
from typing import Any

from ..imports import Imports
from ..memory import Memory
from ..preview1.errnos import MISALIGNED, Errno, answers_errno, from_os_error
from ..preview1.layouts import MAX_VECTORS, U16, U32, vectors
from ..waker import Waker
from .address import (
    ADDRESS,
    STORAGE_SIZE,
    Address,
    Family,
    network_port,
    read_address,
    write_host,
)
from .descriptors import Descriptors
from .socket import NOSIGNAL, Socket

_PEEK = 1
_WAITALL = 2
_RIFLAGS = _PEEK | _WAITALL
_TRUNCATED = 1
_SUCCESS = Errno.SUCCESS
_set_u16, _set_u32 = U16.pack_into, U32.pack_into
_AGAIN = (errno.EAGAIN, os.strerror(errno.EAGAIN))


class TransferCalls:
    """Those functions over one guest's descriptors."""

    def __init__(self, memory: Memory, descriptors: Descriptors, waker: Waker) -> None:
        self._memory = memory
        self._descriptors = descriptors
        self._sockets = descriptors.sockets
        self._waker = waker

    def imports(self) -> Imports:
        """Every function, V1's and V2's names and types."""
        both: Imports = {
            ("sock_recv", "iiiiii"): self.recv,
            ("sock_recv_from", "iiiiiiii"): self.recv_from,
            ("sock_send", "iiiii"): self.send,
            ("sock_send_to", "iiiiiii"): self.send_to,
        }
        named = {(f"{name}_v2", params): call for (name, params), call in both.items()}
        first: Imports = {("sock_recv_from", "iiiiiii"): self.recv_from_v1}
        return both | named | first

    def recv(self, fd: int, iovs: int, count: int, flags: int, nread: int, roflags: int) -> int:
        """``sock_recv``: receive; blocks unless ``fd`` is non-blocking.

        Parameters:
            fd: the socket.
            iovs: the first of the buffers.
            count: of buffers.
            flags: PEEK (1); WAITALL (2), which PEEK overrides.
            nread: where the bytes received are written, u32.
            roflags: where 1 is written for a message cut short, else 0, u16.

        Result:
            ADDRNOTAVAIL: a misaligned pointer.
            INVAL: unknown flags, or more than 1,024 buffers.
            BADF: ``fd`` is not open.
            NOTSOCK: ``fd`` is a file.
            AGAIN: nothing yet and ``fd`` is non-blocking, or SO_RCVTIMEO is over.
            NOTCONN: a stream that is not connected.
            CONNRESET: the far end has broken the connection.

        Like recvmsg(2).
        See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#sock_recv
        """
        if (iovs | nread) & 3 or roflags & 1:
            return MISALIGNED
        memory = self._memory
        if flags & ~_RIFLAGS or count > MAX_VECTORS:
            return Errno.INVAL
        buffers = vectors(memory, iovs, count)
        view = memory.up_to(nread + 4 if nread >= roflags else roflags + 2)
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        try:
            if not flags and count == 1 and guest.stream:
                received, truncated = self._receive_once(guest, buffers[0]), 0
            else:
                received, truncated, _ = self._receive(guest, buffers, flags)
        except OSError as error:
            return from_os_error(error)
        _set_u32(view, nread, received)
        _set_u16(view, roflags, truncated)
        return _SUCCESS

    @answers_errno
    def recv_from(
        self,
        fd: int,
        iovs: int,
        count: int,
        address: int,
        flags: int,
        port: int,
        nread: int,
        roflags: int,
    ) -> int:
        """``sock_recv_from`` of V2: receive, with the sender.

        Parameters:
            fd: the socket.
            iovs: the first of the buffers.
            count: of buffers.
            address: an address structure for the sender, whose buffer is 4, 16 or 128 bytes.
            flags: as recv's.
            port: where its port is written, u16 in network byte order.
            nread: where the bytes received are written, u32.
            roflags: where 1 is written for a message cut short, else 0, u16.

        Result: as recv's, and
            INVAL: an address buffer of another size, or of less than 128 bytes for a Unix sender.

        Like recvfrom(2). An address that does not fit is left out, and so is a stream's, which has
        none. See WasmEdge's WasiSockRecvFromV2.
        """
        if (iovs | nread | address) & 3 or (roflags | port) & 1:
            return MISALIGNED
        memory = self._memory
        buffer = memory.view(*memory.unpack(ADDRESS, address))
        if len(buffer) not in (4, 16, STORAGE_SIZE) or flags & ~_RIFLAGS or count > MAX_VECTORS:
            return Errno.INVAL
        memory.view(port, 2)
        return self._recv_from(fd, iovs, count, buffer, flags, port, nread, roflags)

    @answers_errno
    def recv_from_v1(
        self, fd: int, iovs: int, count: int, address: int, flags: int, nread: int, roflags: int
    ) -> int:
        """``sock_recv_from`` of V1: receive, with the sender but without its port.

        Parameters:
            fd: the socket.
            iovs: the first of the buffers.
            count: of buffers.
            address: an address structure for the sender; a buffer that is too short stays as it is.
            flags: as recv's.
            nread: where the bytes received are written, u32.
            roflags: where 1 is written for a message cut short, else 0, u16.

        Result: as recv_from's. See WasmEdge's WasiSockRecvFromV1.
        """
        if (iovs | nread | address) & 3 or roflags & 1:
            return MISALIGNED
        memory = self._memory
        buffer = memory.view(*memory.unpack(ADDRESS, address))
        if flags & ~_RIFLAGS or count > MAX_VECTORS:
            return Errno.INVAL
        return self._recv_from(fd, iovs, count, buffer, flags, None, nread, roflags)

    def _recv_from(
        self,
        fd: int,
        iovs: int,
        count: int,
        buffer: memoryview,
        flags: int,
        port: int | None,
        nread: int,
        roflags: int,
    ) -> int:
        memory = self._memory
        buffers = vectors(memory, iovs, count)
        memory.view(nread, 4)
        memory.view(roflags, 2)
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        received, truncated, source = self._receive(guest, buffers, flags)
        memory.set_u32(nread, received)
        memory.set_u16(roflags, truncated)
        sender = guest.source(source)
        if sender.family is Family.UNSPEC:
            return Errno.SUCCESS
        tagged = port is not None and len(buffer) == STORAGE_SIZE
        fits = write_host(buffer[2:] if tagged else buffer, sender)
        if not fits and sender.family is Family.UNIX:
            return Errno.INVAL
        if tagged:
            buffer[:2] = sender.family.to_bytes(2, "little")
        if port is not None:
            memory.write(port, network_port(sender.port))
        return Errno.SUCCESS

    def send(self, fd: int, iovs: int, count: int, flags: int, nsent: int) -> int:
        """``sock_send``: send; blocks unless ``fd`` is non-blocking.

        Parameters:
            fd: the socket.
            iovs: the first of the buffers.
            count: of buffers.
            flags: ignored, as in WasmEdge.
            nsent: where the bytes sent are written, u32; all of them, if a stream blocks.

        Result:
            ADDRNOTAVAIL: a misaligned pointer.
            INVAL: more than 1,024 buffers.
            BADF: ``fd`` is not open.
            NOTSOCK: ``fd`` is a file.
            AGAIN: no room and ``fd`` is non-blocking, or SO_SNDTIMEO is over.
            NOTCONN, PIPE: a stream that is not connected, or no longer.
            CONNRESET: the far end has broken the connection.
            MSGSIZE: a message that is too long.
            DESTADDRREQ: a datagram socket that is not connected.

        Like sendmsg(2) with MSG_NOSIGNAL.
        See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#sock_send
        """
        if (iovs | nsent) & 3:
            return MISALIGNED
        if count > MAX_VECTORS:
            return Errno.INVAL
        memory = self._memory
        data = vectors(memory, iovs, count)
        view = memory.up_to(nsent + 4)
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        try:
            sent = self._send_once(guest, data[0]) if count == 1 else self._send(guest, data)
        except OSError as error:
            return from_os_error(error)
        _set_u32(view, nsent, sent)
        return _SUCCESS

    @answers_errno
    def send_to(
        self, fd: int, iovs: int, count: int, address: int, port: int, flags: int, nsent: int
    ) -> int:
        """``sock_send_to``: send one message to an address.

        Parameters:
            fd: the socket.
            iovs: the first of the buffers.
            count: of buffers.
            address: an address structure, whose buffer is 4, 16 or 128 bytes.
            port: in host order; only the low 16 bits count.
            flags: ignored, as in WasmEdge.
            nsent: where the bytes sent are written, u32.

        Result: as send's, and
            INVAL: an address buffer of another size.
            AFNOSUPPORT: the address is of another family.
            ACCES: the host or the network refuses.

        Like sendto(2). See WasmEdge's WasiSockSendToV1 and WasiSockSendToV2.
        """
        if (iovs | nsent | address) & 3:
            return MISALIGNED
        memory = self._memory
        where = read_address(memory, address, port)
        if where is None or count > MAX_VECTORS:
            return Errno.INVAL
        data = vectors(memory, iovs, count)
        memory.view(nsent, 4)
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        memory.set_u32(nsent, self._send(guest, data, where))
        return Errno.SUCCESS

    def read(self, guest: Socket, buffers: list[memoryview]) -> int:
        """Receive into ``buffers``, as fd_read does; bytes. Raises OSError."""
        if guest.stream and len(buffers) == 1:
            return self._receive_once(guest, buffers[0])
        received, _, _ = self._receive(guest, buffers, 0)
        return received

    def write(self, guest: Socket, data: list[memoryview]) -> int:
        """Send ``data``, as fd_write does; bytes. Raises OSError."""
        return self._send_once(guest, data[0]) if len(data) == 1 else self._send(guest, data)

    def _send_once(self, guest: Socket, data: memoryview) -> int:
        """As _send; nearly every call has one buffer, and the host takes it at once."""
        try:
            sent = guest.host.send(data, NOSIGNAL)
        except BlockingIOError:
            return self._send(guest, [data])
        if sent == len(data) or guest.nonblocking:
            return sent
        return self._send(guest, [data[sent:]], total=sent)

    def _send(
        self,
        guest: Socket,
        data: list[memoryview],
        where: Address | None = None,
        *,
        total: int = 0,
    ) -> int:
        """Bytes sent, with the ``total`` before: all of ``data`` to a stream that blocks, unless
        SO_SNDTIMEO is over.
        """
        while True:
            try:
                sent = self._send_some(guest, data, where)
            except OSError:
                if total:
                    return total
                raise
            total += sent
            if guest.nonblocking or not guest.stream:
                return total
            data = _rest(data, sent)
            if not data:
                return total

    def _send_some(self, guest: Socket, data: list[memoryview], where: Address | None) -> int:
        while True:
            try:
                if where is not None:
                    return guest.send_to(data, where)
                if len(data) == 1:
                    return guest.host.send(data[0], NOSIGNAL)
                return guest.host.sendmsg(data, (), NOSIGNAL)
            except BlockingIOError:
                self._wait(guest, select.POLLOUT, guest.send_timeout)

    def _receive(
        self, guest: Socket, buffers: list[memoryview], flags: int
    ) -> tuple[int, int, Any]:
        """Bytes received, roflags, and the sender as the host says it; ``flags`` are riflags."""
        if flags == _WAITALL and guest.stream and not guest.nonblocking:
            return self._receive_all(guest, buffers), 0, None
        host = guest.host
        host_flags = socket.MSG_PEEK if flags & _PEEK else 0
        while True:
            try:
                received, _, answered, source = host.recvmsg_into(buffers, 0, host_flags)
                cut = _TRUNCATED if answered & socket.MSG_TRUNC else 0
                return received, cut, source
            except BlockingIOError:
                self._wait(guest, select.POLLIN, guest.receive_timeout)

    def _receive_once(self, guest: Socket, buffer: memoryview) -> int:
        while True:
            try:
                return guest.host.recv_into(buffer)
            except BlockingIOError:
                self._wait(guest, select.POLLIN, guest.receive_timeout)

    def _receive_all(self, guest: Socket, buffers: list[memoryview]) -> int:
        """Receive until ``buffers`` are full, the stream ends, or SO_RCVTIMEO is over; bytes."""
        wanted = sum(map(len, buffers))
        total = 0
        while total < wanted:
            try:
                received, _, _ = self._receive(guest, buffers, 0)
            except OSError:
                if total:
                    return total
                raise
            if not received:
                break
            total += received
            buffers = _rest(buffers, received)
        return total

    def _wait(self, guest: Socket, event: int, timeout: float | None) -> None:
        """Wait for ``event``, or raise the BlockingIOError that is being handled."""
        if guest.nonblocking or not self._waker.wait(guest.fd, event, timeout):
            raise BlockingIOError(*_AGAIN)


def _rest(buffers: list[memoryview], used: int) -> list[memoryview]:
    for index, buffer in enumerate(buffers):
        if used < len(buffer):
            return [buffer[used:], *buffers[index + 1 :]]
        used -= len(buffer)
    return []
