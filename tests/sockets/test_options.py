"""sock_getsockopt and sock_setsockopt."""

import socket
import struct
import time

import pytest
from guests.probe import Probe
from guests.sockets import (
    DATA,
    DGRAM,
    INET4,
    IOVS,
    LOOPBACK,
    OUT,
    STREAM,
    connected,
    listening,
    open_socket,
    put_address,
    put_vectors,
    receive,
    set_nonblocking,
)

from llamaedge_host.preview1.errnos import Errno

FAR = 0x7FFFFFF0
TYPE, ERROR, LINGER, RCVTIMEO, SNDTIMEO, ACCEPTCONN, BINDTODEVICE = 1, 2, 9, 11, 12, 13, 14
FLAGS = {"reuseaddr": 0, "dontroute": 3, "keepalive": 7, "oobinline": 8}
BUFFERS = {"sndbuf": 5, "rcvbuf": 6}


def get(probe: Probe, fd: int, name: int, room: int = 64) -> tuple[int, bytes]:
    probe.pack(OUT, "I", room)
    errno = probe("sock_getsockopt", fd, 0, name, DATA, OUT)
    return errno, probe.read(DATA, probe.u32(OUT)) if errno == 0 else b""


def put(probe: Probe, fd: int, name: int, value: bytes) -> int:
    probe.write(DATA, value)
    return probe("sock_setsockopt", fd, 0, name, DATA, len(value))


def number(value: bytes) -> int:
    return int.from_bytes(value, "little")


@pytest.mark.parametrize("name", FLAGS.values(), ids=FLAGS)
def test_flags(probe: Probe, name: int) -> None:
    fd = open_socket(probe)
    for wanted in (1, 0):
        assert put(probe, fd, name, wanted.to_bytes(4, "little")) == 0
        errno, value = get(probe, fd, name)
        assert (errno, len(value), bool(number(value))) == (0, 4, bool(wanted))


def test_broadcast(probe: Probe) -> None:
    fd = open_socket(probe, INET4, DGRAM)
    assert put(probe, fd, 4, b"\1\0\0\0") == 0
    assert get(probe, fd, 4) == (0, b"\1\0\0\0")


@pytest.mark.parametrize("name", BUFFERS.values(), ids=BUFFERS)
def test_buffers(probe: Probe, name: int) -> None:
    fd = open_socket(probe)
    assert put(probe, fd, name, (32768).to_bytes(4, "little")) == 0
    errno, value = get(probe, fd, name)
    assert errno == 0
    assert number(value) >= 32768  # Linux doubles it


def test_low_water_mark(probe: Probe) -> None:
    fd = open_socket(probe)
    assert put(probe, fd, 10, b"\5\0\0\0") == 0
    assert get(probe, fd, 10) == (0, b"\5\0\0\0")


def test_linger(probe: Probe) -> None:
    fd = open_socket(probe)
    value = struct.pack("<ii", 1, 7)
    assert put(probe, fd, LINGER, value) == 0
    assert get(probe, fd, LINGER) == (0, value)


def test_a_close_does_not_wait_for_unread_data(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        assert put(probe, fd, LINGER, struct.pack("<ii", 1, 30)) == 0
        set_nonblocking(probe, fd)
        put_vectors(probe, b"x" * 0x8000)
        while probe("sock_send", fd, IOVS, 1, 0, OUT) == 0:
            pass
        started = time.monotonic()
        assert probe("fd_close", fd) == 0
        assert time.monotonic() - started < 1
        assert len(peer.recv(0x8000, socket.MSG_WAITALL)) == 0x8000


def test_a_linger_of_no_time_resets_the_connection(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        assert put(probe, fd, LINGER, struct.pack("<ii", 1, 0)) == 0
        assert probe("fd_close", fd) == 0
        with pytest.raises(ConnectionResetError):
            peer.recv(1)


@pytest.mark.parametrize("name", [RCVTIMEO, SNDTIMEO])
def test_timeouts(probe: Probe, name: int) -> None:
    fd = open_socket(probe)
    value = struct.pack("<qq", 2, 500_000)
    assert put(probe, fd, name, value) == 0
    assert get(probe, fd, name) == (0, value)
    assert put(probe, fd, name, struct.pack("<qq", 0, 2_000_000)) == Errno.DOM
    assert put(probe, fd, name, struct.pack("<qq", -1, 0)) == 0
    assert put(probe, fd, name, bytes(8)) == Errno.INVAL


@pytest.mark.parametrize("kind", [DGRAM, STREAM])
def test_type_is_a_wasi_type(probe: Probe, kind: int) -> None:
    fd = open_socket(probe, INET4, kind)
    assert get(probe, fd, TYPE) == (0, kind.to_bytes(4, "little"))
    assert put(probe, fd, TYPE, bytes(4)) == Errno.NOPROTOOPT


def test_error_is_a_wasi_errno_and_read_once(probe: Probe, free_port: int) -> None:
    fd = open_socket(probe)
    set_nonblocking(probe, fd)
    address = put_address(probe, LOOPBACK[INET4])
    assert probe("sock_connect", fd, address, free_port) in (0, Errno.INPROGRESS)
    assert get(probe, fd, ERROR) == (0, Errno.CONNREFUSED.to_bytes(4, "little"))
    assert get(probe, fd, ERROR) == (0, bytes(4))


def test_accepting(probe: Probe) -> None:
    listener, _ = listening(probe)
    assert get(probe, listener, ACCEPTCONN) == (0, b"\1\0\0\0")
    assert get(probe, open_socket(probe), ACCEPTCONN) == (0, bytes(4))


def test_bind_to_device_reads_as_nothing(probe: Probe) -> None:
    assert get(probe, open_socket(probe), BINDTODEVICE) == (0, b"")


@pytest.mark.parametrize("call", ["sock_getsockopt", "sock_setsockopt"])
def test_errnos(probe: Probe, call: str) -> None:
    fd = open_socket(probe)
    get_ = call == "sock_getsockopt"
    probe.pack(OUT, "I", 4)
    size = OUT if get_ else 4
    for level, name in ((1, 0), (0xFFFFFFFF, 0), (0, 15), (0, 0xFFFFFFFF)):
        assert probe(call, fd, level, name, DATA, size) == Errno.INVAL
    assert probe(call, fd, 0, 0, FAR, size) == Errno.FAULT
    assert probe(call, 65600, 0, 0, DATA, size) == Errno.BADF
    assert probe(call, 0, 0, 0, DATA, size) == Errno.NOTSOCK
    if get_:
        assert probe(call, fd, 0, 0, DATA, OUT + 1) == Errno.ADDRNOTAVAIL
        assert probe(call, fd, 0, 0, DATA, FAR) == Errno.FAULT
    else:
        assert probe(call, fd, 0, 0, DATA, 3) == Errno.INVAL
        assert probe(call, fd, 0, 0, DATA, 8192) == Errno.INVAL


@pytest.mark.parametrize("room", [0, 1, 3])
@pytest.mark.parametrize("name", [0, TYPE, ERROR])
def test_a_short_room_gets_what_fits(probe: Probe, name: int, room: int) -> None:
    fd = open_socket(probe)
    probe.write(DATA, b"\xff" * 8)
    errno, value = get(probe, fd, name, room)
    assert errno == 0
    assert len(value) == room
    assert probe.read(DATA + room, 4) == b"\xff" * 4


def test_a_connection_has_its_listeners_timeouts(probe: Probe) -> None:
    listener, port = listening(probe)
    assert put(probe, listener, RCVTIMEO, struct.pack("<qq", 0, 20_000)) == 0
    with socket.create_connection(("127.0.0.1", port)):
        assert probe("sock_accept", listener, OUT) == 0
        accepted = probe.u32(OUT)
        assert get(probe, accepted, RCVTIMEO) == (0, struct.pack("<qq", 0, 20_000))
        assert receive(probe, accepted, 8)[0] == Errno.AGAIN
    assert probe("sock_accept", listener, OUT) == Errno.AGAIN
