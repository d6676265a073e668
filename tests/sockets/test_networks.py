"""What HostNetwork's lists and PrivateNetwork let a guest reach."""

import socket
import stat
from pathlib import Path

import httpx
import pytest
from guests.probe import Probe
from guests.sockets import (
    DGRAM,
    HOST,
    INET4,
    INET6,
    LOOPBACK,
    OUT,
    OUT2,
    STREAM,
    UNIX,
    open_socket,
    put_address,
    put_room,
    put_vectors,
    receive,
    send,
)

from llamaedge_host import HostError, HostNetwork, PrivateNetwork
from llamaedge_host.preview1.errnos import Errno

ANY = bytes(4)
MAPPED = bytes(10) + b"\xff\xff" + LOOPBACK[INET4]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("n")


def bind(probe: Probe, host: bytes, port: int) -> int:
    family = {4: INET4, 16: INET6}[len(host)]
    return probe("sock_bind", open_socket(probe, family), put_address(probe, host), port)


@pytest.mark.parametrize(
    ("rules", "host", "port", "errno"),
    [
        (None, LOOPBACK[INET4], 0, 0),
        ([], LOOPBACK[INET4], 0, Errno.ACCES),
        (["127.0.0.1:0"], LOOPBACK[INET4], 0, 0),
        (["127.0.0.1:*"], LOOPBACK[INET4], 0, 0),
        (["127.0.0.0/8:*"], LOOPBACK[INET4], 0, 0),
        (["*:0"], LOOPBACK[INET6], 0, 0),
        (["[::1]:0"], LOOPBACK[INET6], 0, 0),
        (["127.0.0.1:1"], LOOPBACK[INET4], 0, Errno.ACCES),
        (["127.0.0.1:0"], ANY, 0, Errno.ACCES),
        (["127.0.0.1:0"], LOOPBACK[INET6], 0, Errno.ACCES),
        (["127.0.0.1:0"], MAPPED, 0, 0),
        (["10.0.0.0/8:*", "127.0.0.1:*"], LOOPBACK[INET4], 0, 0),
    ],
)
def test_bind_lists(rules: list[str] | None, host: bytes, port: int, errno: int) -> None:
    with Probe(network=HostNetwork(bind=rules)) as probe:
        assert bind(probe, host, port) == errno


def test_a_listen_without_a_bind_is_a_bind() -> None:
    with Probe(network=HostNetwork(bind=["127.0.0.1:*"])) as probe:
        assert probe("sock_listen", open_socket(probe), 1) == Errno.ACCES
    with Probe(network=HostNetwork(bind=["0.0.0.0:*"])) as probe:
        assert probe("sock_listen", open_socket(probe), 1) == 0


def test_connect_lists() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as allowed,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        ports = [server.getsockname()[1] for server in (allowed, other)]
        with Probe(network=HostNetwork(connect=[f"127.0.0.1:{ports[0]}"])) as probe:
            answers = [
                probe("sock_connect", open_socket(probe), put_address(probe, LOOPBACK[INET4]), port)
                for port in ports
            ]
            assert answers == [0, Errno.ACCES]
            fd = open_socket(probe, INET4, DGRAM)
            address = put_address(probe, LOOPBACK[INET4])
            iovs = put_vectors(probe, b"x")
            assert probe("sock_send_to", fd, *iovs, address, ports[1], 0, OUT) == Errno.ACCES
            assert probe("sock_connect", fd, address, ports[1]) == Errno.ACCES


def test_accepted_connections_are_under_the_lists_too() -> None:
    with Probe(network=HostNetwork(connect=[])) as probe:
        listener = open_socket(probe)
        assert probe("sock_listen", listener, 1) == 0
        assert probe("sock_getlocaladdr", listener, put_room(probe, 16), OUT, OUT2) == 0
        with socket.create_connection(("127.0.0.1", probe.u32(OUT2))):
            assert probe("sock_accept", listener, OUT) == 0
            accepted = probe.u32(OUT)
            address = put_address(probe, LOOPBACK[INET4])
            assert probe("sock_connect", accepted, address, 1) == Errno.ACCES


@pytest.mark.parametrize("rule", ["", "127.0.0.1", "127.0.0.1:x", "nowhere:80", "*:70000", "1:2:3"])
def test_rules_that_are_no_addresses(rule: str) -> None:
    with pytest.raises(ValueError, match=r"address:port|0 to 65535"):
        HostNetwork(bind=[rule])


def test_a_private_listener_is_a_unix_socket_in_the_folder(folder: Path) -> None:
    heard: list[Path] = []
    network = PrivateNetwork(folder / "made", heard.append)
    with Probe(network=network) as probe:
        assert stat.S_IMODE((folder / "made").stat().st_mode) == 0o700
        fd = open_socket(probe)
        assert probe("sock_setsockopt", fd, 0, 0, probe.pack(OUT, "I", 1), 4) == 0
        assert probe("sock_bind", fd, put_address(probe, ANY), 8080) == 0
        assert heard == []
        assert probe("sock_listen", fd, 16) == 0
        assert heard == [folder / "made" / "8080.sock"]
        assert probe("sock_getlocaladdr", fd, put_room(probe, 16), OUT, OUT2) == 0
        assert (probe.read(HOST, 4), probe.u32(OUT), probe.u32(OUT2)) == (ANY, 4, 8080)
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(heard[0]))
            assert probe("sock_accept", fd, OUT) == 0
            accepted = probe.u32(OUT)
            peer.sendall(b"in")
            assert receive(probe, accepted, 8) == (0, b"in")
            assert send(probe, accepted, b"out") == (0, 3)
            assert peer.recv(8) == b"out"
            assert probe("sock_getpeeraddr", accepted, put_room(probe, 16), OUT, OUT2) == 0
            assert (probe.read(HOST, 4), probe.u32(OUT)) == (LOOPBACK[INET4], 4)
            assert 0 < probe.u32(OUT2) < 65536
            assert probe("sock_getpeeraddr", accepted, put_room(probe, 128), OUT) == 0
            assert probe.read(HOST, 6) == b"\1\0" + LOOPBACK[INET4]
            assert probe("sock_getlocaladdr", accepted, put_room(probe, 16), OUT, OUT2) == 0
            assert (probe.read(HOST, 4), probe.u32(OUT2)) == (LOOPBACK[INET4], 8080)
        assert probe("fd_close", fd) == 0
        assert list((folder / "made").iterdir()) == []


def test_the_first_bytes_of_each_connection_are_told(folder: Path) -> None:
    told: list[bytes] = []
    with Probe(network=PrivateNetwork(folder, on_request=told.append)) as probe:
        fd = open_socket(probe)
        assert probe("sock_bind", fd, put_address(probe, ANY), 8080) == 0
        assert probe("sock_listen", fd, 16) == 0
        for first, rest in ((b"one", b"rest"), (b"two", b"")):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(folder / "8080.sock"))
                assert probe("sock_accept", fd, OUT) == 0
                accepted = probe.u32(OUT)
                peer.sendall(first)
                assert receive(probe, accepted, 8) == (0, first)
                peer.sendall(rest)
                assert not rest or receive(probe, accepted, 8) == (0, rest)
                assert send(probe, accepted, b"out") == (0, 3)
                assert peer.recv(8) == b"out"
    assert told == [b"one", b"two"]


def test_nothing_private_listens_on_a_port(folder: Path, free_port: int) -> None:
    with Probe(network=PrivateNetwork(folder)) as probe:
        fd = open_socket(probe)
        assert probe("sock_bind", fd, put_address(probe, LOOPBACK[INET4]), free_port) == 0
        assert probe("sock_listen", fd, 1) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", free_port))


def test_private_addresses(folder: Path) -> None:
    with Probe(network=PrivateNetwork(folder)) as probe:
        assert bind(probe, ANY, 80) == 0
        assert bind(probe, LOOPBACK[INET4], 80) == Errno.ADDRINUSE
        assert bind(probe, LOOPBACK[INET6], 80) == 0
        fd = open_socket(probe)
        assert probe("sock_bind", fd, put_address(probe, LOOPBACK[INET6]), 0) == Errno.AFNOSUPPORT
        assert probe("sock_listen", fd, 1) == 0
        assert probe("sock_bind", fd, put_address(probe, ANY), 81) == Errno.INVAL
        assert probe("sock_getlocaladdr", fd, put_room(probe, 16), OUT, OUT2) == 0
        assert probe.u32(OUT2) >= 49152


def test_a_private_guest_reaches_nothing(folder: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Probe(network=PrivateNetwork(folder)) as probe,
    ):
        fd = open_socket(probe)
        address = put_address(probe, LOOPBACK[INET4])
        port = server.getsockname()[1]
        assert probe("sock_connect", fd, address, port) == Errno.ACCES
        iovs = put_vectors(probe, b"x")
        assert probe("sock_send_to", fd, *iovs, address, port, 0, OUT) == Errno.ACCES
        assert probe("sock_getpeeraddr", fd, put_room(probe, 16), OUT, OUT2) == Errno.NOTCONN
        assert probe("sock_open", INET4, DGRAM, OUT) == Errno.ACCES
        assert probe("sock_open", UNIX, STREAM, OUT) == Errno.NOSYS


def test_closing_a_guest_closes_its_sockets(folder: Path) -> None:
    with Probe(network=PrivateNetwork(folder)) as probe:
        fd = open_socket(probe)
        assert probe("sock_listen", fd, 1) == 0
        (path,) = folder.iterdir()
    assert list(folder.iterdir()) == []
    with pytest.raises(httpx.ConnectError):
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path))).get("http://guest/")


def test_a_folder_with_too_long_a_path(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"too long a path.*TMPDIR"):
        PrivateNetwork(tmp_path / ("x" * 120))


def test_a_server_can_start_again_on_its_port(free_port: int) -> None:
    """Old guests do not ask for SO_REUSEADDR, and their connections linger in TIME_WAIT."""
    for _ in range(2):
        with Probe() as probe:
            fd = open_socket(probe)
            assert probe("sock_bind", fd, put_address(probe, LOOPBACK[INET4]), free_port) == 0
            assert probe("sock_listen", fd, 1) == 0
            with socket.create_connection(("127.0.0.1", free_port)) as peer:
                assert probe("sock_accept", fd, OUT) == 0
                assert probe("fd_close", probe.u32(OUT)) == 0
                assert peer.recv(1) == b""
