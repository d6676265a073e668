"""fd_renumber: sockets among themselves, and in the place of files."""

from pathlib import Path

from guests.files import open_file
from guests.probe import Probe
from guests.sockets import OUT, connected, open_socket, put_vectors, receive, set_nonblocking

from llamaedge_host.preview1.errnos import Errno

ROOM = 0x300
FDSTAT = "BxH4xQQ"


def test_renumber(probe: Probe) -> None:
    first, peer = connected(probe)
    second = open_socket(probe)
    assert probe("fd_renumber", first, second) == 0
    peer.sendall(b"moved")
    assert receive(probe, second, 8) == (0, b"moved")
    assert receive(probe, first, 8)[0] == Errno.BADF
    assert probe("fd_renumber", second, second) == 0
    assert probe("fd_renumber", second, 65600) == Errno.BADF
    assert probe("fd_renumber", 65600, second) == Errno.BADF
    assert open_socket(probe) == first
    peer.close()


def test_a_socket_as_standard_output(probe: Probe) -> None:
    """As dup2(2) does for a server that writes its answer there."""
    fd, peer = connected(probe)
    assert probe("fd_renumber", fd, 50) == Errno.BADF
    assert probe("fd_renumber", fd, 1) == 0
    with peer:
        assert probe("fd_write", fd, *put_vectors(probe, b"answer"), OUT) == Errno.BADF
        assert probe("fd_write", 1, *put_vectors(probe, b"answer"), OUT) == 0
        assert peer.recv(64) == b"answer"
        assert probe("fd_fdstat_get", 1, ROOM) == 0
        assert probe.unpack(ROOM, FDSTAT)[0] == 6
        assert probe("fd_seek", 1, 0, 0, OUT) == Errno.NOTCAPABLE
        set_nonblocking(probe, 1)
        assert receive(probe, 1, 8)[0] == Errno.AGAIN
        assert probe("fd_renumber", 1, 1) == 0
        assert probe("fd_close", 1) == 0
        assert peer.recv(1) == b""
    assert probe("fd_write", 1, *put_vectors(probe, b"answer"), OUT) == Errno.BADF
    assert [open_socket(probe) for _ in range(3)] == [65536, 65537, 65538]


def test_a_socket_in_the_place_of_a_file(folder: tuple[Probe, Path]) -> None:
    probe, path = folder
    socket_, peer = connected(probe)
    file, other = open_file(probe, b"file"), open_file(probe, b"other")
    with peer:
        assert probe("fd_renumber", socket_, file) == 0
        assert open_file(probe, b"another") not in (file, other)
        assert probe("fd_renumber", file, file) == 0
        peer.sendall(b"data")
        assert receive(probe, file, 8) == (0, b"data")
        assert probe("fd_renumber", other, file) == 0
        assert peer.recv(1) == b""
    assert probe("fd_write", file, *put_vectors(probe, b"to the file"), OUT) == 0
    assert (path / "other").read_bytes() == b"to the file"
    assert probe("fd_tell", other, OUT) == Errno.BADF


def test_a_socket_moves_back(folder: tuple[Probe, Path]) -> None:
    probe, _ = folder
    first, peer = connected(probe)
    second = open_socket(probe)
    file = open_file(probe, b"file")
    with peer:
        assert probe("fd_renumber", first, file) == 0
        assert probe("fd_renumber", file, second) == 0
        assert probe("fd_tell", file, OUT) == Errno.BADF
        peer.sendall(b"data")
        assert receive(probe, second, 8) == (0, b"data")
    assert open_file(probe, b"file") == file


def test_a_file_does_not_take_the_place_of_a_socket(folder: tuple[Probe, Path]) -> None:
    probe, _ = folder
    fd, file = open_socket(probe), open_file(probe, b"file")
    assert probe("fd_renumber", file, fd) == Errno.NOTSUP
    assert probe("fd_renumber", 50, fd) == Errno.BADF
    assert probe("fd_renumber", file, 65600) == Errno.BADF
    assert probe("fd_tell", file, OUT) == 0
    assert probe("fd_close", fd) == 0
