"""What the socket functions answer for a number that is no socket."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from guests.files import PREOPENED, open_file
from guests.probe import Probe
from guests.sockets import DATA, LOOPBACK, OUT, OUT2, OUT3, connected, put_address, put_room
from guests.sockets import put_vectors as vectors

from llamaedge_host import Preopen
from llamaedge_host.preview1.errnos import Errno

STDOUT = 1

Call = Callable[[Probe, int], int]


def put_address_of(probe: Probe) -> int:
    return put_address(probe, LOOPBACK[1])


CALLS: dict[str, Call] = {
    "sock_bind": lambda probe, fd: probe("sock_bind", fd, put_address_of(probe), 80),
    "sock_listen": lambda probe, fd: probe("sock_listen", fd, 1),
    "sock_accept": lambda probe, fd: probe("sock_accept", fd, OUT),
    "sock_accept_v2": lambda probe, fd: probe("sock_accept", fd, 0, OUT),
    "sock_connect": lambda probe, fd: probe("sock_connect", fd, put_address_of(probe), 80),
    "sock_recv": lambda probe, fd: probe("sock_recv", fd, *vectors(probe, 8), 0, OUT, OUT2),
    "sock_recv_from": lambda probe, fd: probe(
        "sock_recv_from", fd, *vectors(probe, 8), put_room(probe, 16), 0, OUT, OUT2
    ),
    "sock_recv_from_v2": lambda probe, fd: probe(
        "sock_recv_from", fd, *vectors(probe, 8), put_room(probe, 128), 0, OUT, OUT2, OUT3
    ),
    "sock_send": lambda probe, fd: probe("sock_send", fd, *vectors(probe, b"data"), 0, OUT),
    "sock_send_to": lambda probe, fd: probe(
        "sock_send_to", fd, *vectors(probe, b"data"), put_address_of(probe), 80, 0, OUT
    ),
    "sock_shutdown": lambda probe, fd: probe("sock_shutdown", fd, 3),
    "sock_getlocaladdr": lambda probe, fd: probe(
        "sock_getlocaladdr", fd, put_room(probe, 16), OUT, OUT2
    ),
    "sock_getpeeraddr_v2": lambda probe, fd: probe(
        "sock_getpeeraddr", fd, put_room(probe, 128), OUT
    ),
    "sock_getsockopt": lambda probe, fd: probe(
        "sock_getsockopt", fd, 0, 0, DATA, probe.pack(OUT, "I", 4)
    ),
    "sock_setsockopt": lambda probe, fd: probe(
        "sock_setsockopt", fd, 0, 0, probe.pack(DATA, "I", 1), 4
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Probe]:
    """A guest with one directory."""
    with Probe(dirs=[Preopen(tmp_path, ".")]) as made:
        yield made


calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@calls
def test_a_number_that_was_never_open_is_badf(folder: Probe, call: Call) -> None:
    for number in (PREOPENED + 1, 50, 65535, 65536, 2**32 - 1):
        assert call(folder, number) == Errno.BADF


@calls
def test_an_open_file_is_notsock(folder: Probe, call: Call) -> None:
    for number in (0, STDOUT, 2, PREOPENED, open_file(folder, b"file")):
        assert call(folder, number) == Errno.NOTSOCK


@calls
def test_what_was_closed_is_badf(folder: Probe, call: Call) -> None:
    file, stream = open_file(folder, b"file"), 2
    assert folder("fd_close", file) == 0
    assert folder("fd_close", stream) == 0
    socket, peer = connected(folder)
    with peer:
        assert folder("fd_renumber", socket, STDOUT) == 0
        assert folder("fd_close", STDOUT) == 0
        for number in (file, stream, socket, STDOUT):
            assert call(folder, number) == Errno.BADF


@calls
def test_a_bad_number_leaves_the_memory_alone(folder: Probe, call: Call) -> None:
    folder.write(0, b"\xaa" * 64)
    assert call(folder, 50) == Errno.BADF
    assert folder.read(0, 64) == b"\xaa" * 64
