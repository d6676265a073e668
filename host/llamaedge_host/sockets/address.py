"""Socket addresses in a guest's memory.

Source: WasmEdge's thirdparty/wasi/api.hpp and include/host/wasi/environ.h (WasiAddrStorage).
"""

import socket
import struct
import sys
from enum import IntEnum
from typing import Any, NamedTuple

from ..memory import Memory

ADDRESS = struct.Struct("<II")
"""``__wasi_address_t``: buffer u32, buffer length u32 (bytes)."""

STORAGE_SIZE = 128
"""A V2 buffer: family u16, then the address."""

UNIX_PATH_SIZE = 108
"""Bytes of a guest's ``sockaddr_un.sun_path``, as on Linux."""

HOST_UNIX_PATH_SIZE = 104 if sys.platform == "darwin" else 108
"""Bytes of this machine's."""

HostAddress = tuple[str, int] | bytes
"""An address as Python's sockets take it."""

_PORT = struct.Struct("!H")


class Family(IntEnum):
    """``__wasi_address_family_t``."""

    UNSPEC = 0
    INET4 = 1
    INET6 = 2
    UNIX = 3


class Kind(IntEnum):
    """``__wasi_sock_type_t``."""

    ANY = 0
    DGRAM = 1
    STREAM = 2


HOST_FAMILIES = {
    Family.INET4: socket.AF_INET,
    Family.INET6: socket.AF_INET6,
    Family.UNIX: socket.AF_UNIX,
}
HOST_KINDS = {Kind.DGRAM: socket.SOCK_DGRAM, Kind.STREAM: socket.SOCK_STREAM}

_FAMILY_OF_LENGTH = {4: Family.INET4, 16: Family.INET6}
_LENGTH = {Family.INET4: 4, Family.INET6: 16, Family.UNIX: UNIX_PATH_SIZE}


class Address(NamedTuple):
    """Where a socket is: ``host`` is 4 or 16 raw bytes, or the path of a Unix socket."""

    family: Family
    host: bytes
    port: int = 0

    def __str__(self) -> str:
        if self.family is Family.UNIX:
            return self.host.decode(errors="replace")
        name = socket.inet_ntop(HOST_FAMILIES[self.family], self.host)
        return f"[{name}]:{self.port}" if self.family is Family.INET6 else f"{name}:{self.port}"

    def to_host(self) -> HostAddress:
        """The address as Python's sockets take it."""
        if self.family is Family.UNIX:
            return self.host
        return socket.inet_ntop(HOST_FAMILIES[self.family], self.host), self.port


UNSPECIFIED = Address(Family.UNSPEC, b"")


def from_host(family: Family, address: Any) -> Address:
    """The Address for what Python's sockets answer; UNSPECIFIED where they have none."""
    if family is Family.UNIX:
        path = address.encode() if isinstance(address, str) else bytes(address or b"")
        return Address(family, path)
    if not address:
        return UNSPECIFIED
    name = address[0].partition("%")[0]
    return Address(family, socket.inet_pton(HOST_FAMILIES[family], name), address[1])


def read_address(memory: Memory, pointer: int, port: int) -> Address | None:
    """The address at ``pointer`` (``__wasi_address_t``), or None where it is malformed.

    A buffer is 4 or 16 bytes of raw address, or V2's 128. Only the low 16 bits of ``port``
    count, as in WasmEdge. Raises BadPointer.
    """
    buffer, length = memory.unpack(ADDRESS, pointer)
    data = memory.read(buffer, length) if length <= STORAGE_SIZE else memory.view(buffer, length)
    if length == STORAGE_SIZE:
        family = int.from_bytes(data[:2], "little")
        if family == Family.UNIX:
            path = bytes(data[2 : 2 + UNIX_PATH_SIZE])
            return Address(Family.UNIX, path if path[0] == 0 else path.partition(b"\0")[0])
        if family not in (Family.INET4, Family.INET6):
            return None
        known = Family(family)
        return Address(known, bytes(data[2 : 2 + _LENGTH[known]]), port & 0xFFFF)
    short = _FAMILY_OF_LENGTH.get(length)
    return None if short is None else Address(short, bytes(data), port & 0xFFFF)


def write_host(buffer: memoryview, address: Address) -> bool:
    """Write the raw address into ``buffer``; False, and nothing written, where it is too short.

    A Unix path always fills its 108 bytes, padded with NUL.
    """
    length = _LENGTH.get(address.family, 0)
    if len(buffer) < length:
        return False
    buffer[:length] = address.host.ljust(length, b"\0")
    return True


def network_port(port: int) -> bytes:
    """A port in network byte order."""
    return _PORT.pack(port)
