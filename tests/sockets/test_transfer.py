"""sock_recv, sock_recv_from, sock_send, sock_send_to."""

import socket
import struct
import threading
import time

import pytest
from guests.probe import Probe
from guests.sockets import (
    ADDRESS,
    DATA,
    DGRAM,
    HOST,
    HOST_FAMILIES,
    INET4,
    INET6,
    IOVS,
    LOOPBACK,
    NAMES,
    OUT,
    OUT2,
    OUT3,
    VERSIONS,
    Version,
    bound,
    connected,
    open_socket,
    put_address,
    put_room,
    put_vectors,
    receive,
    send,
    set_nonblocking,
)

from llamaedge_host.preview1.errnos import Errno

FAR = 0x7FFFFFF0
PEEK, WAITALL = 1, 2
TRUNCATED = 1
versions = pytest.mark.parametrize("version", VERSIONS, ids=str)
families = pytest.mark.parametrize("family", [INET4, INET6], ids=["inet4", "inet6"])
names = pytest.mark.parametrize("suffix", ["", "_v2"], ids=["v1", "v2"])


@names
def test_data_is_gathered_and_scattered(probe: Probe, suffix: str) -> None:
    fd, peer = connected(probe)
    with peer:
        vectors = put_vectors(probe, b"one, ", b"", b"two")
        assert probe("sock_send" + suffix, fd, *vectors, 0, OUT) == 0
        assert probe.u32(OUT) == 8
        assert peer.recv(64) == b"one, two"
        peer.sendall(b"three, four")
        vectors = put_vectors(probe, 5, 0, 64)
        assert probe("sock_recv" + suffix, fd, *vectors, 0, OUT, OUT2) == 0
        assert probe.u32(OUT) == 11
        assert probe.unpack(OUT2, "H") == (0,)
        assert probe.read(DATA, 11) == b"three, four"


def test_a_peek_leaves_the_data(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        peer.sendall(b"look")
        assert receive(probe, fd, 2, flags=PEEK) == (0, b"lo")
        assert receive(probe, fd, 9, flags=PEEK) == (0, b"look")
        assert receive(probe, fd, 9, flags=PEEK | WAITALL) == (0, b"look")
        assert receive(probe, fd, 9) == (0, b"look")


def test_a_receive_waits_and_its_timeout_ends_it(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        threading.Timer(0.05, peer.sendall, (b"late",)).start()
        assert receive(probe, fd, 9) == (0, b"late")
        timeout = probe.pack(DATA, "qq", 0, 50_000)
        assert probe("sock_setsockopt", fd, 0, 11, timeout, 16) == 0
        started = time.monotonic()
        assert receive(probe, fd, 9)[0] == Errno.AGAIN
        assert time.monotonic() - started >= 0.05
        peer.sendall(b"part")
        assert receive(probe, fd, 9, flags=WAITALL) == (0, b"part")


def test_a_send_waits_and_its_timeout_ends_it(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        block = b"x" * 0x8000
        timeout = probe.pack(DATA, "qq", 0, 50_000)
        assert probe("sock_setsockopt", fd, 0, 12, timeout, 16) == 0
        probe("sock_send", fd, *put_vectors(probe, block), 0, OUT)
        for _ in range(10_000):
            if probe("sock_send", fd, IOVS, 1, 0, OUT) == Errno.AGAIN:
                break
        else:
            pytest.fail("the send buffer never filled")
        reader = threading.Timer(0.02, lambda: [*iter(lambda: peer.recv(1 << 20), b"")])
        reader.start()
        assert probe("sock_setsockopt", fd, 0, 12, probe.pack(OUT, "qq", 5, 0), 16) == 0
        assert probe("sock_send", fd, IOVS, 1, 0, OUT) == 0
        assert probe("fd_close", fd) == 0
        reader.join()


WHOLE_SENDS = {
    "send": lambda p, fd, n: p("sock_send", fd, IOVS, n, 0, OUT),
    "send_to": lambda p, fd, n: p("sock_send_to", fd, IOVS, n, ADDRESS, 9, 0, OUT),
    "write": lambda p, fd, n: p("fd_write", fd, IOVS, n, OUT),
}
PART = 0x40000  # bytes, more than the small buffers of a connection hold


def put_parts(probe: Probe, fd: int, count: int) -> None:
    """An address, and ``count`` iovecs of the same PART bytes; a small send buffer."""
    put_address(probe, LOOPBACK[INET4])
    for index in range(count):
        probe.pack(IOVS + 8 * index, "II", DATA, PART)
    assert probe("sock_setsockopt", fd, 0, 5, probe.pack(OUT, "I", 4096), 4) == 0


@pytest.mark.parametrize("sends", WHOLE_SENDS.values(), ids=WHOLE_SENDS)
@pytest.mark.parametrize("count", [1, 3])
def test_a_send_that_blocks_sends_all(probe: Probe, sends, count: int) -> None:  # type: ignore[no-untyped-def]
    fd, peer = connected(probe)
    put_parts(probe, fd, count)
    received: list[bytes] = []
    size = count * PART
    peer.settimeout(None)
    reader = threading.Timer(0.05, lambda: received.append(peer.recv(size, socket.MSG_WAITALL)))
    with peer:
        reader.start()
        answer = sends(probe, fd, count), probe.u32(OUT)
        reader.join()
    assert answer == (0, size)
    assert len(received[0]) == size


@pytest.mark.parametrize("sends", WHOLE_SENDS.values(), ids=WHOLE_SENDS)
def test_a_send_that_ends_early_says_how_much_it_sent(probe: Probe, sends) -> None:  # type: ignore[no-untyped-def]
    fd, peer = connected(probe)
    with peer:
        put_parts(probe, fd, 1)
        assert probe("sock_setsockopt", fd, 0, 12, probe.pack(OUT, "qq", 0, 50_000), 16) == 0
        assert sends(probe, fd, 1) == 0
        assert 0 < probe.u32(OUT) < PART
        assert sends(probe, fd, 1) == Errno.AGAIN


def test_sockets_that_do_not_block(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        set_nonblocking(probe, fd)
        assert receive(probe, fd, 9)[0] == Errno.AGAIN
        assert receive(probe, fd, 9, flags=WAITALL)[0] == Errno.AGAIN
        put_vectors(probe, b"x" * 0x8000)
        answers = {probe("sock_send", fd, IOVS, 1, 0, OUT) for _ in range(1000)}
        assert answers == {0, Errno.AGAIN}


RECEIVES = {
    "recv": lambda p, fd, iovs, n, flags, out, ro: p("sock_recv", fd, iovs, n, flags, out, ro),
    "recv_from_v1": lambda p, fd, iovs, n, flags, out, ro: p(
        "sock_recv_from", fd, iovs, n, put_room(p, 16), flags, out, ro
    ),
    "recv_from_v2": lambda p, fd, iovs, n, flags, out, ro: p(
        "sock_recv_from_v2", fd, iovs, n, put_room(p, 128), flags, OUT3, out, ro
    ),
}


@pytest.mark.parametrize("receives", RECEIVES.values(), ids=RECEIVES)
def test_waitall_waits_for_all_or_the_end(probe: Probe, receives) -> None:  # type: ignore[no-untyped-def]
    fd, peer = connected(probe)
    peer.sendall(b"first ")
    threading.Timer(0.05, peer.sendall, (b"second",)).start()
    assert receives(probe, fd, *put_vectors(probe, 4, 8), WAITALL, OUT, OUT2) == 0
    assert probe.read(DATA, probe.u32(OUT)) == b"first second"
    threading.Timer(0.05, peer.close).start()
    assert receives(probe, fd, *put_vectors(probe, 4), WAITALL, OUT, OUT2) == 0
    assert probe.u32(OUT) == 0


@pytest.mark.parametrize("receives", RECEIVES.values(), ids=RECEIVES)
def test_receive_errnos(probe: Probe, receives) -> None:  # type: ignore[no-untyped-def]
    fd, peer = connected(probe)
    iovs, _ = put_vectors(probe, 8)
    assert receives(probe, fd, iovs + 2, 1, 0, OUT, OUT2) == Errno.ADDRNOTAVAIL
    assert receives(probe, fd, iovs, 1, 0, OUT + 1, OUT2) == Errno.ADDRNOTAVAIL
    assert receives(probe, fd, iovs, 1, 0, OUT, OUT2 + 1) == Errno.ADDRNOTAVAIL
    assert receives(probe, fd, FAR, 1, 0, OUT, OUT2) == Errno.FAULT
    assert receives(probe, fd, iovs, 1, 0, FAR, OUT2) == Errno.FAULT
    assert receives(probe, fd, iovs, 1, 0, OUT, FAR) == Errno.FAULT
    assert receives(probe, fd, iovs, 1025, 0, OUT, OUT2) == Errno.INVAL
    assert receives(probe, fd, iovs, 0xFFFFFFFF, 0, OUT, OUT2) == Errno.INVAL
    assert receives(probe, fd, iovs, 1, 4, OUT, OUT2) == Errno.INVAL
    assert receives(probe, 65600, iovs, 1, 0, OUT, OUT2) == Errno.BADF
    assert receives(probe, 0, iovs, 1, 0, OUT, OUT2) == Errno.NOTSOCK
    assert receives(probe, open_socket(probe), iovs, 1, 0, OUT, OUT2) == Errno.NOTCONN
    probe.pack(IOVS, "II", FAR, 8)
    assert receives(probe, fd, iovs, 1, 0, OUT, OUT2) == Errno.FAULT
    probe.pack(IOVS, "II", DATA, 0xFFFFFFFF)
    assert receives(probe, fd, iovs, 1, 0, OUT, OUT2) == Errno.FAULT
    put_vectors(probe, 8)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    assert receives(probe, fd, iovs, 1, 0, OUT, OUT2) == Errno.CONNRESET


def test_no_more_than_1024_buffers(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        vectors = 0x1000
        for index in range(1024):
            probe.pack(vectors + 8 * index, "II", DATA + index, 1)
        peer.sendall(b"ab" * 512)
        assert probe("sock_recv", fd, vectors, 1024, WAITALL, OUT, OUT2) == 0
        assert probe.u32(OUT) == 1024
        assert probe("sock_send", fd, vectors, 1024, 0, OUT) == 0
        assert probe("sock_send", fd, vectors, 1025, 0, OUT) == Errno.INVAL


SENDS = {
    "send": lambda p, fd, iovs, n, out: p("sock_send", fd, iovs, n, 0, out),
    "send_v2": lambda p, fd, iovs, n, out: p("sock_send_v2", fd, iovs, n, 0, out),
    "send_to": lambda p, fd, iovs, n, out: p(
        "sock_send_to", fd, iovs, n, put_address(p, LOOPBACK[INET4]), 9, 0, out
    ),
    "send_to_v2": lambda p, fd, iovs, n, out: p(
        "sock_send_to_v2", fd, iovs, n, put_address(p, LOOPBACK[INET4], storage=True), 9, 0, out
    ),
}


@pytest.mark.parametrize("sends", SENDS.values(), ids=SENDS)
def test_send_errnos(probe: Probe, sends) -> None:  # type: ignore[no-untyped-def]
    fd, peer = connected(probe)
    with peer:
        iovs, _ = put_vectors(probe, b"payload")
        assert sends(probe, fd, iovs + 2, 1, OUT) == Errno.ADDRNOTAVAIL
        assert sends(probe, fd, iovs, 1, OUT + 2) == Errno.ADDRNOTAVAIL
        assert sends(probe, fd, FAR, 1, OUT) == Errno.FAULT
        assert sends(probe, fd, iovs, 1, FAR) == Errno.FAULT
        assert sends(probe, fd, iovs, 1025, OUT) == Errno.INVAL
        assert sends(probe, 65600, iovs, 1, OUT) == Errno.BADF
        assert sends(probe, 1, iovs, 1, OUT) == Errno.NOTSOCK
        assert sends(probe, open_socket(probe), iovs, 1, OUT) == Errno.PIPE
        probe.pack(IOVS, "II", FAR, 8)
        assert sends(probe, fd, iovs, 1, OUT) == Errno.FAULT
        put_vectors(probe, b"payload")
        assert probe("sock_shutdown", fd, 2) == 0
        assert sends(probe, fd, iovs, 1, OUT) == Errno.PIPE


def test_siflags_are_ignored(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        assert probe("sock_send", fd, *put_vectors(probe, b"x"), 0xFFFFFFFF, OUT) == 0


@versions
@families
def test_datagrams(probe: Probe, version: Version, family: int) -> None:
    with socket.socket(HOST_FAMILIES[family], socket.SOCK_DGRAM) as peer:
        peer.bind((NAMES[family], 0))
        peer.settimeout(5)
        fd, port = bound(probe, family, DGRAM)
        address = put_address(probe, LOOPBACK[family], storage=version.storage)
        vectors = put_vectors(probe, b"data", b"gram")
        name = "sock_send_to" + version.suffix
        assert probe(name, fd, *vectors, address, peer.getsockname()[1], 0, OUT) == 0
        assert probe.u32(OUT) == 8
        data, sender = peer.recvfrom(64)
        assert data == b"datagram"
        assert sender[1] == port


def test_an_empty_datagram_is_one(probe: Probe) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        fd = open_socket(probe, INET4, DGRAM)
        address = put_address(probe, LOOPBACK[INET4])
        assert probe("sock_connect", fd, address, peer.getsockname()[1]) == 0
        assert send(probe, fd, b"") == (0, 0)
        assert send(probe, fd, b"end") == (0, 3)
        assert [peer.recv(8), peer.recv(8)] == [b"", b"end"]


@families
@pytest.mark.parametrize("name", ["sock_recv_from", "sock_recv_from_v2"])
@pytest.mark.parametrize("room", [4, 16, 128])
def test_receive_from_v2_tells_the_sender(probe: Probe, family: int, name: str, room: int) -> None:
    with socket.socket(HOST_FAMILIES[family], socket.SOCK_DGRAM) as peer:
        peer.bind((NAMES[family], 0))
        fd, port = bound(probe, family, DGRAM)
        peer.sendto(b"datagram", (NAMES[family], port))
        address = put_room(probe, room)
        assert probe(name, fd, *put_vectors(probe, 64), address, 0, OUT3, OUT, OUT2) == 0
        assert probe.read(DATA, probe.u32(OUT)) == b"datagram"
        assert probe.unpack(OUT2, "H") == (0,)
        assert probe.read(OUT3, 2) == peer.getsockname()[1].to_bytes(2, "big")
        host = LOOPBACK[family]
        written = family.to_bytes(2, "little") + host if room == 128 else host
        expected = written if len(written) <= room else b""
        assert probe.read(HOST, room) == expected.ljust(room, b"\xff")


@families
def test_receive_from_v1_has_no_port(probe: Probe, family: int) -> None:
    fd, port = bound(probe, family, DGRAM)
    with socket.socket(HOST_FAMILIES[family], socket.SOCK_DGRAM) as peer:
        peer.sendto(b"datagram", (NAMES[family], port))
        address = put_room(probe, 20)
        assert probe("sock_recv_from", fd, *put_vectors(probe, 64), address, 0, OUT, OUT2) == 0
    host = LOOPBACK[family]
    assert probe.read(HOST, 20) == host.ljust(20, b"\xff")


def test_receive_from_errnos_of_its_own(probe: Probe) -> None:
    fd, _ = bound(probe, INET4, DGRAM)
    iovs = put_vectors(probe, 8)
    for room in (0, 5, 127, 129):
        address = put_room(probe, room)
        assert probe("sock_recv_from", fd, *iovs, address, 0, OUT3, OUT, OUT2) == Errno.INVAL
    good = put_room(probe, 16)
    name = "sock_recv_from"
    assert probe(name, fd, *iovs, good + 2, 0, OUT3, OUT, OUT2) == Errno.ADDRNOTAVAIL
    assert probe(name, fd, *iovs, good, 0, OUT3 + 1, OUT, OUT2) == Errno.ADDRNOTAVAIL
    assert probe(name, fd, *iovs, FAR, 0, OUT3, OUT, OUT2) == Errno.FAULT
    assert probe(name, fd, *iovs, good, 0, FAR, OUT, OUT2) == Errno.FAULT
    set_nonblocking(probe, fd)
    assert probe(name, fd, *iovs, good, 0, OUT3, OUT, OUT2) == Errno.AGAIN


def test_a_stream_has_no_sender(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        peer.sendall(b"x")
        room = put_room(probe, 16)
        iovs = put_vectors(probe, 8)
        assert probe("sock_recv_from", fd, *iovs, room, 0, OUT3, OUT, OUT2) == 0
        assert probe.read(HOST, 16) == b"\xff" * 16


@pytest.mark.parametrize("receives", RECEIVES.values(), ids=RECEIVES)
def test_a_datagram_that_is_cut_short_says_so(probe: Probe, receives) -> None:  # type: ignore[no-untyped-def]
    fd, port = bound(probe, INET4, DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for _ in range(2):
            peer.sendto(b"too long", ("127.0.0.1", port))
    assert receives(probe, fd, *put_vectors(probe, 3), 0, OUT, OUT2) == 0
    assert (probe.read(DATA, probe.u32(OUT)), probe.unpack(OUT2, "H")) == (b"too", (TRUNCATED,))
    assert receives(probe, fd, *put_vectors(probe, 3, 5), 0, OUT, OUT2) == 0
    assert (probe.read(DATA, probe.u32(OUT)), probe.unpack(OUT2, "H")) == (b"too long", (0,))


def test_datagram_errnos(probe: Probe) -> None:
    fd = open_socket(probe, INET4, DGRAM)
    assert send(probe, fd, b"x")[0] == Errno.DESTADDRREQ
    other = put_address(probe, LOOPBACK[INET6])
    iovs = put_vectors(probe, b"x")
    assert probe("sock_send_to", fd, *iovs, other, 9, 0, OUT) == Errno.AFNOSUPPORT
    for length in (0, 5, 127):
        bad = probe.pack(ADDRESS, "II", HOST, length)
        assert probe("sock_send_to", fd, *iovs, bad, 9, 0, OUT) == Errno.INVAL
    good = put_address(probe, LOOPBACK[INET4])
    assert probe("sock_send_to", fd, *iovs, good + 2, 9, 0, OUT) == Errno.ADDRNOTAVAIL
    assert probe("sock_send_to", fd, *iovs, FAR, 9, 0, OUT) == Errno.FAULT
    probe.pack(IOVS, "IIII", DATA, 0x8000, DATA, 0x8000)
    assert probe("sock_send_to", fd, IOVS, 2, good, 9, 0, OUT) == Errno.MSGSIZE


def test_data_lands_in_memory_that_has_grown(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        peer.sendall(b"beyond")
        at = 8 * 65536 + 32
        assert probe("sock_recv", fd, probe.pack(IOVS, "II", at, 6), 1, 0, OUT, OUT2) == Errno.FAULT
        assert probe.guest.call("grow", 1) == 8
        assert probe("sock_recv", fd, IOVS, 1, 0, OUT, OUT2) == 0
        assert probe.read(at, 6) == b"beyond"
