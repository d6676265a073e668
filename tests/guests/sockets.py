"""What socket tests do through a probe: addresses, buffers and sockets in a guest's memory."""

import socket
from dataclasses import dataclass

from .probe import Probe

INET4, INET6, UNIX = 1, 2, 3
DGRAM, STREAM = 1, 2
NONBLOCK = 4

OUT = 0x80
OUT2 = 0x88
OUT3 = 0x90
ADDRESS = 0x100
HOST = 0x200
IOVS = 0x400
DATA = 0x8000

LOOPBACK = {INET4: bytes((127, 0, 0, 1)), INET6: bytes(15) + b"\1"}
NAMES = {INET4: "127.0.0.1", INET6: "::1"}
HOST_FAMILIES = {INET4: socket.AF_INET, INET6: socket.AF_INET6}


@dataclass(frozen=True)
class Version:
    """V1 or V2 of the functions that have one type, by the name and the address buffer."""

    suffix: str
    storage: bool

    def __str__(self) -> str:
        return f"{self.suffix or 'v1'}{'-storage' if self.storage else ''}"


VERSIONS = [Version("", False), Version("", True), Version("_v2", True), Version("_v2", False)]


def put_address(probe: Probe, host: bytes, *, storage: bool = False, family: int = 0) -> int:
    """An address structure for ``host``; its pointer."""
    if storage:
        family = family or {4: INET4, 16: INET6}[len(host)]
        host = (family.to_bytes(2, "little") + host).ljust(128, b"\0")
    probe.write(HOST, host)
    return probe.pack(ADDRESS, "II", HOST, len(host))


def put_room(probe: Probe, length: int) -> int:
    """An address structure with room for ``length`` bytes; its pointer."""
    probe.write(HOST, b"\xff" * length)
    return probe.pack(ADDRESS, "II", HOST, length)


def put_vectors(probe: Probe, *parts: bytes | int) -> tuple[int, int]:
    """iovecs of data, or of rooms that long; their pointer and number."""
    at = DATA
    for index, part in enumerate(parts):
        length = part if isinstance(part, int) else len(part)
        if isinstance(part, bytes):
            probe.write(at, part)
        probe.pack(IOVS + 8 * index, "II", at, length)
        at += length
    return IOVS, len(parts)


def open_socket(probe: Probe, family: int = INET4, kind: int = STREAM) -> int:
    """A new socket's descriptor."""
    assert probe("sock_open", family, kind, OUT) == 0
    return probe.u32(OUT)


def bound(probe: Probe, family: int = INET4, kind: int = STREAM) -> tuple[int, int]:
    """A socket bound to a free port of the loopback address, and the port."""
    fd = open_socket(probe, family, kind)
    assert probe("sock_bind", fd, put_address(probe, LOOPBACK[family]), 0) == 0
    assert probe("sock_getlocaladdr", fd, put_room(probe, 16), OUT, OUT2) == 0
    return fd, probe.u32(OUT2)


def listening(probe: Probe, family: int = INET4) -> tuple[int, int]:
    """A listener on the loopback address, and its port."""
    fd, port = bound(probe, family)
    assert probe("sock_listen", fd, 16) == 0
    return fd, port


def connected(probe: Probe, family: int = INET4) -> tuple[int, socket.socket]:
    """A guest's accepted connection, and the host's end of it."""
    listener, port = listening(probe, family)
    peer = socket.create_connection((NAMES[family], port))
    peer.settimeout(5)
    assert probe("sock_accept", listener, OUT) == 0
    accepted = probe.u32(OUT)
    assert probe("fd_close", listener) == 0
    return accepted, peer


def send(probe: Probe, fd: int, *parts: bytes) -> tuple[int, int]:
    """errno and bytes of a sock_send."""
    answer = probe("sock_send", fd, *put_vectors(probe, *parts), 0, OUT)
    return answer, probe.u32(OUT)


def receive(probe: Probe, fd: int, *rooms: int, flags: int = 0) -> tuple[int, bytes]:
    """errno and data of a sock_recv."""
    answer = probe("sock_recv", fd, *put_vectors(probe, *rooms), flags, OUT, OUT2)
    return answer, probe.read(DATA, probe.u32(OUT)) if answer == 0 else b""


def set_nonblocking(probe: Probe, fd: int) -> None:
    """Set O_NONBLOCK."""
    assert probe("fd_fdstat_set_flags", fd, NONBLOCK) == 0
