"""sock_open, sock_bind, sock_listen, sock_accept, sock_connect, sock_shutdown, addresses."""

import socket
import threading
from pathlib import Path

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
    LOOPBACK,
    NAMES,
    NONBLOCK,
    OUT,
    OUT2,
    OUT3,
    STREAM,
    UNIX,
    VERSIONS,
    Version,
    bound,
    connected,
    listening,
    open_socket,
    put_address,
    put_room,
    put_vectors,
    receive,
    send,
    set_nonblocking,
)

from llamaedge_host import HostNetwork, Limits
from llamaedge_host.preview1.errnos import Errno

FAR = 0x7FFFFFF0
FAMILIES = [INET4, INET6]
versions = pytest.mark.parametrize("version", VERSIONS, ids=str)
families = pytest.mark.parametrize("family", FAMILIES, ids=["inet4", "inet6"])


@versions
@pytest.mark.parametrize("kind", [DGRAM, STREAM])
@families
def test_open_answers_descriptors_from_65536(
    probe: Probe, version: Version, family: int, kind: int
) -> None:
    assert probe("sock_open" + version.suffix, family, kind, OUT) == 0
    assert probe.u32(OUT) == 65536


@versions
@pytest.mark.parametrize(
    ("family", "kind", "out", "errno"),
    [
        (INET4, STREAM, OUT + 1, Errno.ADDRNOTAVAIL),
        (INET4, STREAM, FAR, Errno.FAULT),
        (0, STREAM, OUT, Errno.INVAL),
        (4, STREAM, OUT, Errno.INVAL),
        (0xFFFFFFFF, STREAM, OUT, Errno.INVAL),
        (INET4, 0, OUT, Errno.INVAL),
        (INET4, 3, OUT, Errno.INVAL),
        (UNIX, STREAM, OUT, Errno.NOSYS),
    ],
)
def test_open_errnos(
    probe: Probe, version: Version, family: int, kind: int, out: int, errno: Errno
) -> None:
    assert probe("sock_open" + version.suffix, family, kind, out) == errno


def test_sockets_are_limited_and_numbers_used_again() -> None:
    with Probe(limits=Limits(sockets=3)) as probe:
        fds = [open_socket(probe) for _ in range(3)]
        assert fds == [65536, 65537, 65538]
        assert probe("sock_open", INET4, STREAM, OUT) == Errno.MFILE
        assert probe("fd_close", 65537) == 0
        assert open_socket(probe) == 65537


def test_accept_keeps_the_limit_and_the_connection_waits() -> None:
    with Probe(limits=Limits(sockets=1)) as probe:
        fd, port = listening(probe)
        with socket.create_connection(("127.0.0.1", port)):
            assert probe("sock_accept", fd, OUT) == Errno.MFILE


@versions
@families
def test_bind_listen_connect_accept(probe: Probe, version: Version, family: int) -> None:
    listener = open_socket(probe, family)
    address = put_address(probe, LOOPBACK[family], storage=version.storage)
    assert probe("sock_bind" + version.suffix, listener, address, 0) == 0
    assert probe("sock_listen" + version.suffix, listener, 4) == 0
    assert probe("sock_getlocaladdr", listener, put_room(probe, 16), OUT, OUT2) == 0
    port = probe.u32(OUT2)
    client = open_socket(probe, family)
    address = put_address(probe, LOOPBACK[family], storage=version.storage)
    assert probe("sock_connect" + version.suffix, client, address, port) == 0
    assert probe("sock_accept", listener, OUT) == 0
    server = probe.u32(OUT)
    assert send(probe, client, b"hello") == (0, 5)
    assert receive(probe, server, 16) == (0, b"hello")


@versions
def test_only_the_low_half_of_a_port_counts(probe: Probe, version: Version, free_port: int) -> None:
    fd = open_socket(probe)
    address = put_address(probe, LOOPBACK[INET4], storage=version.storage)
    assert probe("sock_bind" + version.suffix, fd, address, free_port | 0xABCD0000) == 0
    assert probe("sock_getlocaladdr", fd, put_room(probe, 4), OUT, OUT2) == 0
    assert probe.u32(OUT2) == free_port


@pytest.mark.parametrize("call", ["sock_bind", "sock_connect"])
@versions
def test_address_errnos(probe: Probe, version: Version, call: str) -> None:
    name = call + version.suffix
    fd = open_socket(probe)
    good = put_address(probe, LOOPBACK[INET4], storage=version.storage)
    assert probe(name, fd, good + 2, 80) == Errno.ADDRNOTAVAIL
    assert probe(name, fd, FAR, 80) == Errno.FAULT
    assert probe(name, 65600, good, 80) == Errno.BADF
    assert probe(name, 0, good, 80) == Errno.NOTSOCK
    assert probe(name, fd, probe.pack(ADDRESS, "II", FAR, 4), 80) == Errno.FAULT
    for length in (0, 5, 127, 129):
        assert probe(name, fd, probe.pack(ADDRESS, "II", HOST, length), 80) == Errno.INVAL
    other = put_address(probe, LOOPBACK[INET6], storage=version.storage)
    assert probe(name, fd, other, 80) == Errno.AFNOSUPPORT
    for family in (0, 4):
        unknown = put_address(probe, LOOPBACK[INET4], storage=True)
        probe.pack(HOST, "H", family)
        assert probe(name, fd, unknown, 80) == Errno.INVAL


@families
def test_bind_errnos(probe: Probe, family: int) -> None:
    first, port = listening(probe, family)
    second = open_socket(probe, family)
    taken = put_address(probe, LOOPBACK[family])
    assert probe("sock_bind", second, taken, port) == Errno.ADDRINUSE
    assert probe("sock_bind", first, taken, 0) == Errno.INVAL
    elsewhere = {INET4: bytes((192, 0, 2, 1)), INET6: b"\x20\x01\x0d\xb8" + bytes(12)}[family]
    assert probe("sock_bind", second, put_address(probe, elsewhere), 0) == Errno.ADDRNOTAVAIL


@pytest.mark.parametrize("name", ["sock_listen", "sock_listen_v2"])
def test_listen(probe: Probe, name: str) -> None:
    fd, _ = bound(probe)
    assert probe(name, fd, 0xFFFFFFFF) == 0
    assert probe(name, 65600, 1) == Errno.BADF
    assert probe(name, 1, 1) == Errno.NOTSOCK
    assert probe(name, open_socket(probe, INET4, DGRAM), 1) == Errno.NOTSUP
    accepted, peer = connected(probe)
    assert probe(name, accepted, 1) == Errno.INVAL
    peer.close()


ACCEPTS = {
    "v1": lambda probe, fd, out: probe("sock_accept", fd, out),
    "v2": lambda probe, fd, out: probe("sock_accept", fd, 0, out),
    "_v2": lambda probe, fd, out: probe("sock_accept_v2", fd, 0, out),
}


@pytest.mark.parametrize("accept", ACCEPTS.values(), ids=ACCEPTS)
def test_accept(probe: Probe, accept) -> None:  # type: ignore[no-untyped-def]
    fd, port = listening(probe)
    with socket.create_connection(("127.0.0.1", port)) as peer:
        assert accept(probe, fd, OUT + 2) == Errno.ADDRNOTAVAIL
        assert accept(probe, fd, FAR) == Errno.FAULT
        assert accept(probe, fd, OUT) == 0
        accepted = probe.u32(OUT)
        peer.sendall(b"x")
        assert receive(probe, accepted, 1) == (0, b"x")
    set_nonblocking(probe, fd)
    assert accept(probe, fd, OUT) == Errno.AGAIN
    assert accept(probe, 65600, OUT) == Errno.BADF
    assert accept(probe, 2, OUT) == Errno.NOTSOCK
    assert accept(probe, bound(probe)[0], OUT) == Errno.INVAL
    assert accept(probe, open_socket(probe, INET4, DGRAM), OUT) == Errno.NOTSUP


def test_accept_waits_for_a_connection(probe: Probe) -> None:
    fd, port = listening(probe)
    peers: list[socket.socket] = []
    later = threading.Timer(
        0.1, lambda: peers.append(socket.create_connection(("127.0.0.1", port)))
    )
    later.start()
    assert probe("sock_accept", fd, OUT) == 0
    later.join()
    peers[0].close()


@pytest.mark.parametrize("name", ["sock_accept", "sock_accept_v2"])
def test_accepted_sockets_block_unless_v2_asks_otherwise(probe: Probe, name: str) -> None:
    fd, port = listening(probe)
    for flags, expected in ((0, 0), (NONBLOCK, NONBLOCK)):
        with socket.create_connection(("127.0.0.1", port)):
            assert probe(name, fd, flags, OUT) == 0
            accepted = probe.u32(OUT)
            assert probe("fd_fdstat_get", accepted, OUT) == 0
            assert probe.unpack(OUT + 2, "H") == (expected,)
    assert probe(name, fd, 32, OUT) == Errno.INVAL


def test_connect_errnos(probe: Probe, free_port: int) -> None:
    client = open_socket(probe)
    address = put_address(probe, LOOPBACK[INET4])
    assert probe("sock_connect", client, address, free_port) == Errno.CONNREFUSED
    _, port = listening(probe)
    client = open_socket(probe)
    address = put_address(probe, LOOPBACK[INET4])
    assert probe("sock_connect", client, address, port) == 0
    assert probe("sock_connect", client, address, port) == Errno.ISCONN


def test_a_connect_that_does_not_block_is_under_way(probe: Probe) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        answers = []
        for _ in range(4):  # the queue is full after one or two
            fd = open_socket(probe)
            set_nonblocking(probe, fd)
            answers.append(probe("sock_connect", fd, put_address(probe, LOOPBACK[INET4]), port))
        assert answers[-1] == Errno.INPROGRESS
        assert probe("sock_connect", fd, ADDRESS, port) == Errno.ALREADY


def test_shutdown(probe: Probe) -> None:
    accepted, peer = connected(probe)
    assert probe("sock_shutdown", accepted, 2) == 0
    assert peer.recv(1) == b""
    peer.sendall(b"still")
    assert receive(probe, accepted, 5) == (0, b"still")
    assert probe("sock_shutdown", accepted, 1) == 0
    assert receive(probe, accepted, 5) == (0, b"")
    peer.close()
    for how in (0, 4, 0xFFFFFFFF):
        assert probe("sock_shutdown", accepted, how) == Errno.INVAL
    assert probe("sock_shutdown", 65600, 3) == Errno.BADF
    assert probe("sock_shutdown", 0, 3) == Errno.NOTSOCK
    assert probe("sock_shutdown", open_socket(probe), 3) == Errno.NOTCONN


def test_shutdown_of_both_ends(probe: Probe) -> None:
    accepted, peer = connected(probe)
    with peer:
        assert probe("sock_shutdown", accepted, 3) == 0
        assert peer.recv(1) == b""
        assert send(probe, accepted, b"x")[0] == Errno.PIPE


@families
@pytest.mark.parametrize("end", ["local", "peer"])
def test_addresses_v1(probe: Probe, family: int, end: str) -> None:
    accepted, peer = connected(probe, family)
    name = f"sock_get{end}addr"
    there = peer.getpeername() if end == "local" else peer.getsockname()
    assert probe(name, accepted, put_room(probe, 16), OUT, OUT2) == 0
    length = {INET4: 4, INET6: 16}[family]
    assert probe.read(HOST, 16) == LOOPBACK[family].ljust(16, b"\xff")
    assert probe.u32(OUT) == {INET4: 4, INET6: 6}[family]
    assert probe.u32(OUT2) == there[1]
    short = probe(name, accepted, put_room(probe, 4), OUT, OUT2)
    assert short == (0 if length == 4 else Errno.NOMEM)
    for room in (0, 5, 128):
        assert probe(name, accepted, put_room(probe, room), OUT, OUT2) == Errno.INVAL
    good = put_room(probe, 16)
    assert probe(name, accepted, good + 1, OUT, OUT2) == Errno.ADDRNOTAVAIL
    assert probe(name, accepted, good, OUT + 1, OUT2) == Errno.ADDRNOTAVAIL
    assert probe(name, accepted, good, OUT, OUT2 + 2) == Errno.ADDRNOTAVAIL
    assert probe(name, accepted, FAR, OUT, OUT2) == Errno.FAULT
    assert probe(name, accepted, good, FAR, OUT2) == Errno.FAULT
    assert probe(name, accepted, good, OUT, FAR) == Errno.FAULT
    assert probe(name, 65600, good, OUT, OUT2) == Errno.BADF
    assert probe(name, 0, good, OUT, OUT2) == Errno.NOTSOCK
    peer.close()


@families
@pytest.mark.parametrize("suffix", ["", "_v2"])
@pytest.mark.parametrize("end", ["local", "peer"])
def test_addresses_v2(probe: Probe, family: int, suffix: str, end: str) -> None:
    accepted, peer = connected(probe, family)
    name = f"sock_get{end}addr{suffix}"
    there = peer.getpeername() if end == "local" else peer.getsockname()
    assert probe(name, accepted, put_room(probe, 128), OUT) == 0
    assert probe.unpack(HOST, "H") == (family,)
    assert probe.read(HOST + 2, len(LOOPBACK[family])) == LOOPBACK[family]
    assert probe.u32(OUT) == there[1]
    for room in (4, 16, 127):
        assert probe(name, accepted, put_room(probe, room), OUT) == Errno.INVAL
    good = put_room(probe, 128)
    assert probe(name, accepted, good + 1, OUT) == Errno.ADDRNOTAVAIL
    assert probe(name, accepted, FAR, OUT) == Errno.FAULT
    assert probe(name, accepted, good, FAR) == Errno.FAULT
    assert probe(name, 65600, good, OUT) == Errno.BADF
    peer.close()


def test_a_socket_without_a_peer_has_no_address_of_one(probe: Probe) -> None:
    fd = open_socket(probe)
    assert probe("sock_getpeeraddr", fd, put_room(probe, 16), OUT, OUT2) == Errno.NOTCONN
    assert probe("sock_getpeeraddr", fd, put_room(probe, 128), OUT) == Errno.NOTCONN
    assert probe("sock_getlocaladdr", fd, put_room(probe, 128), OUT) == 0
    assert probe.read(HOST, 6) == b"\1\0\0\0\0\0"
    assert probe.u32(OUT) == 0


@pytest.mark.parametrize("suffix", ["", "_v2"])
def test_unix_sockets_when_allowed(tmp_path: Path, suffix: str) -> None:
    path = str(tmp_path / "guest.sock").encode()
    with Probe(network=HostNetwork(allow_unix=True)) as probe:
        fd = open_socket(probe, UNIX)
        address = put_address(probe, path, storage=True, family=UNIX)
        assert probe("sock_bind" + suffix, fd, address, 0) == 0
        assert probe("sock_listen", fd, 1) == 0
        assert probe("sock_getlocaladdr" + suffix, fd, put_room(probe, 128), OUT) == 0
        assert probe.unpack(HOST, "H") == (UNIX,)
        assert probe.read(HOST + 2, 108).rstrip(b"\0") == path
        assert probe("sock_getlocaladdr", fd, put_room(probe, 16), OUT, OUT2) == Errno.NOMEM
        client = open_socket(probe, UNIX)
        address = put_address(probe, path, storage=True, family=UNIX)
        assert probe("sock_connect" + suffix, client, address, 0) == 0
        assert probe("sock_accept", fd, OUT) == 0
        server = probe.u32(OUT)
        assert send(probe, server, b"over a file") == (0, 11)
        assert receive(probe, client, 64) == (0, b"over a file")
        assert send(probe, client, b"back") == (0, 4)
        room, vectors = put_room(probe, 16), put_vectors(probe, 64)
        assert probe("sock_recv_from", server, *vectors, room, 0, OUT3, OUT, OUT2) == 0
        assert probe.read(DATA, probe.u32(OUT)) == b"back"
        assert probe.read(HOST, 16) == b"\xff" * 16  # the client has no name
        missing = put_address(probe, path + b"x", storage=True, family=UNIX)
        assert probe("sock_connect", open_socket(probe, UNIX), missing, 0) == Errno.NOENT


@families
def test_a_server_of_the_host_is_reached(probe: Probe, family: int) -> None:
    with socket.create_server((NAMES[family], 0), family=HOST_FAMILIES[family]) as server:
        fd = open_socket(probe, family)
        port = server.getsockname()[1]
        assert probe("sock_connect", fd, put_address(probe, LOOPBACK[family]), port) == 0
        peer, _ = server.accept()
        with peer:
            assert send(probe, fd, b"to the ", b"host") == (0, 11)
            assert peer.recv(64) == b"to the host"
