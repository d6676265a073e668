"""sock_getsockopt and sock_setsockopt.

Source: WasmEdge's __wasi_sock_opt_so_t and INode::sockGetOpt, INode::sockSetOpt.
"""

import socket
import struct
import sys

from ..imports import Imports
from ..memory import Memory
from ..preview1.errnos import MISALIGNED, Errno, answers_errno, from_os_error
from .address import Kind
from .descriptors import Descriptors
from .socket import Socket

_SOL_SOCKET = 0
_SO_TYPE = 1
_SO_ERROR = 2
_SO_LINGER = 9
_SO_RCVTIMEO = 11
_SO_SNDTIMEO = 12
_SO_BINDTODEVICE = 14

_HOST_NAMES = {
    0: socket.SO_REUSEADDR,
    _SO_TYPE: socket.SO_TYPE,
    _SO_ERROR: socket.SO_ERROR,
    3: socket.SO_DONTROUTE,
    4: socket.SO_BROADCAST,
    5: socket.SO_SNDBUF,
    6: socket.SO_RCVBUF,
    7: socket.SO_KEEPALIVE,
    8: socket.SO_OOBINLINE,
    _SO_LINGER: socket.SO_LINGER,
    10: socket.SO_RCVLOWAT,
    _SO_RCVTIMEO: socket.SO_RCVTIMEO,
    _SO_SNDTIMEO: socket.SO_SNDTIMEO,
    13: socket.SO_ACCEPTCONN,
}
if sys.platform == "linux":
    _HOST_NAMES[_SO_BINDTODEVICE] = socket.SO_BINDTODEVICE

_LONGEST_VALUE = 1024
"""Bytes that Python passes to the host; no option of the table is longer."""

_INT = struct.Struct("<i")
_TIMEVAL = struct.Struct("<qq")
"""struct timeval: seconds i64, microseconds i64."""

_KINDS = {socket.SOCK_DGRAM: Kind.DGRAM, socket.SOCK_STREAM: Kind.STREAM}


class OptionCalls:
    """The option functions over one guest's descriptors."""

    def __init__(self, memory: Memory, descriptors: Descriptors) -> None:
        self._memory = memory
        self._descriptors = descriptors
        self._sockets = descriptors.sockets

    def imports(self) -> Imports:
        """Both functions."""
        return {
            ("sock_getsockopt", "iiiii"): self.getsockopt,
            ("sock_setsockopt", "iiiii"): self.setsockopt,
        }

    @answers_errno
    def getsockopt(self, fd: int, level: int, name: int, value: int, size: int) -> int:
        """``sock_getsockopt``: read an option.

        Parameters:
            fd: the socket.
            level: 0, SOL_SOCKET.
            name: of __wasi_sock_opt_so_t, 0 REUSEADDR to 14 BINDTODEVICE.
            value: where the option is written.
            size: the room there in bytes, u32, and then the option's own.

        Result:
            ADDRNOTAVAIL: ``size`` is misaligned.
            INVAL: an unknown level or name.
            BADF: ``fd`` is not open.
            NOTSOCK: ``fd`` is a file.
            NOPROTOOPT: the host lacks the option.

        Like getsockopt(2), but SO_ERROR is a WASI errno and SO_TYPE a WASI socket type.
        See WasmEdge's WasiSockGetOpt.
        """
        if size & 3:
            return MISALIGNED
        if level != _SOL_SOCKET or name > _SO_BINDTODEVICE:
            return Errno.INVAL
        memory = self._memory
        buffer = memory.view(value, memory.u32(size))
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        data = self._read(guest, name, min(len(buffer), _LONGEST_VALUE))
        buffer[: len(data)] = data
        memory.set_u32(size, len(data))
        return Errno.SUCCESS

    def _read(self, guest: Socket, name: int, length: int) -> bytes:
        host_name = _HOST_NAMES.get(name, -1)
        if name not in (_SO_ERROR, _SO_TYPE):
            return guest.host.getsockopt(socket.SOL_SOCKET, host_name, length) if length else b""
        number = guest.host.getsockopt(socket.SOL_SOCKET, host_name)
        if name == _SO_TYPE:
            number = _KINDS[socket.SocketKind(number)]
        elif number:
            number = from_os_error(OSError(number, ""))
        return _INT.pack(number)[:length]

    @answers_errno
    def setsockopt(self, fd: int, level: int, name: int, value: int, size: int) -> int:
        """``sock_setsockopt``: set an option.

        Parameters:
            fd: the socket.
            level: 0, SOL_SOCKET.
            name: of __wasi_sock_opt_so_t, 0 REUSEADDR to 14 BINDTODEVICE.
            value: the option.
            size: its bytes.

        Result:
            INVAL: an unknown level or name, or a value of the wrong length.
            BADF: ``fd`` is not open.
            NOTSOCK: ``fd`` is a file.
            NOPROTOOPT: an option that cannot be set.
            PERM: one that the host's user may not set.
            DOM: a bad timeout.

        Like setsockopt(2). See WasmEdge's WasiSockSetOpt.
        """
        if level != _SOL_SOCKET or name > _SO_BINDTODEVICE:
            return Errno.INVAL
        data = self._memory.view(value, size)
        guest = self._sockets.get(fd)
        if guest is None:
            return self._descriptors.absent(fd)
        if size > _LONGEST_VALUE:
            return Errno.INVAL
        guest.host.setsockopt(socket.SOL_SOCKET, _HOST_NAMES.get(name, -1), bytes(data))
        if name == _SO_LINGER:
            guest.lingers = True
        elif name == _SO_RCVTIMEO:
            guest.receive_timeout = _timeout(data)
        elif name == _SO_SNDTIMEO:
            guest.send_timeout = _timeout(data)
        return Errno.SUCCESS


def _timeout(data: memoryview) -> float | None:
    seconds, microseconds = _TIMEVAL.unpack_from(data)
    if seconds < 0:
        return 0.0
    return seconds + microseconds / 1e6 or None
