"""The fd functions on sockets, files and standard input."""

import os
import socket
from pathlib import Path

import pytest
from guests.files import PREOPENED, open_file
from guests.probe import WASI_IMPORTS, Probe, probe_wasm
from guests.signatures import DESCRIPTORS
from guests.sockets import (
    DATA,
    DGRAM,
    INET4,
    IOVS,
    NONBLOCK,
    OUT,
    STREAM,
    connected,
    open_socket,
    put_vectors,
)

from llamaedge_host import Limits, Preopen
from llamaedge_host.preview1.errnos import Errno

FAR = 0x7FFFFFF0
ROOM = 0x300
RIGHT_READ, RIGHT_SET_FLAGS, RIGHT_WRITE = 1 << 1, 1 << 3, 1 << 6
RIGHTS_OPENED = RIGHT_READ | RIGHT_SET_FLAGS | RIGHT_WRITE | 0b111111111 << 27
RIGHTS_ACCEPTED = RIGHTS_OPENED & ~(0b111 << 29)
FDSTAT = "BxH4xQQ"
ANSWERED = {
    "fd_close",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_read",
    "fd_renumber",
    "fd_write",
}


def zeros(params: str, fd: int) -> list[int]:
    return [fd] + [0] * (len(params) - 1)


def test_read_and_write(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        assert probe("fd_write", fd, *put_vectors(probe, b"a", b"bc"), OUT) == 0
        assert probe.u32(OUT) == 3
        assert peer.recv(8) == b"abc"
        peer.sendall(b"defg")
        assert probe("fd_read", fd, *put_vectors(probe, 1, 8), OUT) == 0
        assert probe.read(DATA, probe.u32(OUT)) == b"defg"
    assert probe("fd_read", fd, *put_vectors(probe, 8), OUT) == 0
    assert probe.u32(OUT) == 0


@pytest.mark.parametrize("name", ["fd_read", "fd_write"])
def test_read_and_write_errnos(probe: Probe, name: str) -> None:
    fd, peer = connected(probe)
    with peer:
        iovs, count = put_vectors(probe, b"data")
        assert probe(name, fd, iovs + 2, count, OUT) == Errno.ADDRNOTAVAIL
        assert probe(name, fd, iovs, count, OUT + 1) == Errno.ADDRNOTAVAIL
        assert probe(name, fd, FAR, count, OUT) == Errno.FAULT
        assert probe(name, fd, iovs, count, FAR) == Errno.FAULT
        assert probe(name, fd, iovs, 1025, OUT) == Errno.INVAL
        assert probe(name, 65600, iovs, count, OUT) == Errno.BADF
        assert probe("fd_fdstat_set_rights", fd, RIGHT_SET_FLAGS, 0) == 0
        assert probe(name, fd, iovs, count, OUT) == Errno.NOTCAPABLE
        assert probe(name, open_socket(probe), iovs, count, OUT) in (Errno.NOTCONN, Errno.PIPE)


def test_close(probe: Probe) -> None:
    fd, peer = connected(probe)
    assert probe("fd_close", fd) == 0
    assert peer.recv(1) == b""
    assert probe("fd_close", fd) == Errno.BADF
    assert probe("sock_send", fd, IOVS, 1, 0, OUT) == Errno.BADF


@pytest.mark.parametrize(("kind", "filetype"), [(DGRAM, 5), (STREAM, 6)])
def test_fdstat(probe: Probe, kind: int, filetype: int) -> None:
    fd = open_socket(probe, INET4, kind)
    assert probe("fd_fdstat_get", fd, ROOM) == 0
    assert probe.unpack(ROOM, FDSTAT) == (filetype, 0, RIGHTS_OPENED, RIGHTS_OPENED)
    assert probe("fd_fdstat_set_flags", fd, NONBLOCK | 1) == 0
    assert probe("fd_fdstat_get", fd, ROOM) == 0
    assert probe.unpack(ROOM, FDSTAT)[1] == NONBLOCK
    assert probe("fd_fdstat_set_flags", fd, 0) == 0
    assert probe("fd_fdstat_get", fd, ROOM) == 0
    assert probe.unpack(ROOM, FDSTAT)[1] == 0
    assert probe("fd_fdstat_get", fd, ROOM + 4) == Errno.ADDRNOTAVAIL
    assert probe("fd_fdstat_get", fd, FAR) == Errno.FAULT
    assert probe("fd_fdstat_get", 65600, ROOM) == Errno.BADF


def test_accepted_sockets_have_fewer_rights(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        assert probe("fd_fdstat_get", fd, ROOM) == 0
        assert probe.unpack(ROOM, FDSTAT)[2:] == (RIGHTS_ACCEPTED, RIGHTS_ACCEPTED)


def test_flags_that_no_socket_has(probe: Probe) -> None:
    fd = open_socket(probe)
    for flag in (2, 8, 16):
        assert probe("fd_fdstat_set_flags", fd, flag) == Errno.NOTCAPABLE
    assert probe("fd_fdstat_set_flags", fd, 32) == Errno.INVAL
    assert probe("fd_fdstat_set_flags", 65600, 0) == Errno.BADF


def test_rights_can_only_be_dropped(probe: Probe) -> None:
    fd = open_socket(probe)
    assert probe("fd_fdstat_set_rights", fd, 1, 0) == Errno.NOTCAPABLE
    assert probe("fd_fdstat_set_rights", fd, RIGHT_READ, RIGHT_READ) == 0
    assert probe("fd_fdstat_set_rights", fd, RIGHT_READ | RIGHT_WRITE, 0) == Errno.NOTCAPABLE
    assert probe("fd_fdstat_set_flags", fd, NONBLOCK) == Errno.NOTCAPABLE
    assert probe("fd_fdstat_set_rights", 65600, 0, 0) == Errno.BADF


def test_filestat_has_the_type_alone(probe: Probe) -> None:
    fd = open_socket(probe)
    probe.write(ROOM, b"\xff" * 64)
    assert probe("fd_filestat_get", fd, ROOM) == 0
    assert probe.unpack(ROOM, "QQB7xQQQQQ") == (0, 0, 6, 1, 0, 0, 0, 0)
    assert probe("fd_filestat_get", fd, ROOM + 4) == Errno.ADDRNOTAVAIL
    assert probe("fd_filestat_get", fd, FAR) == Errno.FAULT
    assert probe("fd_filestat_get", 65600, ROOM) == Errno.BADF


@pytest.mark.parametrize("name", sorted(set(DESCRIPTORS) - ANSWERED))
def test_what_only_files_have(probe: Probe, name: str) -> None:
    fd = open_socket(probe)
    errno = Errno.BADF if "prestat" in name else Errno.NOTCAPABLE
    assert probe(name, *zeros(DESCRIPTORS[name], fd)) == errno
    assert probe(name, *zeros(DESCRIPTORS[name], 65600)) == Errno.BADF
    assert probe(name, *zeros(DESCRIPTORS[name], 0xFFFFFFFF)) == Errno.BADF


def test_files_go_to_wasmtime(folder: tuple[Probe, Path]) -> None:
    probe, path = folder
    fd = open_file(probe, b"file.txt")
    assert fd < 65536
    assert probe("fd_write", fd, *put_vectors(probe, b"on disk"), OUT) == 0
    assert probe("fd_seek", fd, 3, 0, OUT) == 0
    assert probe("fd_read", fd, *put_vectors(probe, 64), OUT) == 0
    assert probe.read(DATA, probe.u32(OUT)) == b"disk"
    assert probe("fd_tell", fd, OUT) == 0
    assert probe.u32(OUT) == 7
    assert probe("fd_filestat_get", fd, ROOM) == 0
    assert probe.unpack(ROOM + 32, "Q") == (7,)
    assert probe("fd_filestat_set_size", fd, 2) == 0
    assert probe("fd_close", fd) == 0
    assert (path / "file.txt").read_bytes() == b"on"
    assert probe("fd_prestat_get", PREOPENED, ROOM) == 0


@pytest.mark.parametrize(
    ("name", "file"),
    [("fd_read", b"zero"), ("fd_pread", b"zero"), ("fd_write", b"null"), ("fd_pwrite", b"null")],
)
def test_more_than_wasmtime_moves_at_once(name: str, file: bytes) -> None:
    large = 1 << 27  # bytes
    wasm = probe_wasm(WASI_IMPORTS, pages=(large >> 16) + 8)
    with Probe(wasm=wasm, dirs=[Preopen(Path("/dev"), ".")]) as probe:
        probe.write(DATA, file)
        rights = RIGHT_READ | RIGHT_WRITE
        assert probe("path_open", PREOPENED, 0, DATA, len(file), 0, rights, 0, 0, OUT) == 0
        table = probe.read(probe.pack(IOVS, "IIIIII", DATA, 0, DATA, large, DATA, large), 24)
        offset = [0] if name in ("fd_pread", "fd_pwrite") else []
        assert probe(name, probe.u32(OUT), IOVS, 3, *offset, OUT) == 0
        assert 0 < probe.u32(OUT) < large
        assert probe.read(IOVS, 24) == table


@pytest.mark.parametrize("name", ["fd_read", "fd_pread", "fd_write", "fd_pwrite"])
def test_buffers_of_a_file(folder: tuple[Probe, Path], name: str) -> None:
    probe, path = folder
    (path / "file").write_bytes(b"data")
    fd = open_file(probe, b"file")
    iovs, count = put_vectors(probe, b"data")
    offset = [0] if name in ("fd_pread", "fd_pwrite") else []
    assert probe(name, fd, iovs, 1025, *offset, OUT) == Errno.INVAL
    assert probe(name, fd, FAR, count, *offset, OUT) == Errno.FAULT
    assert probe(name, fd, iovs + 2, count, *offset, OUT) == Errno.ADDRNOTAVAIL
    assert probe(name, fd, iovs, count, *offset, OUT + 1) == Errno.ADDRNOTAVAIL
    assert probe(name, 50, iovs, count, *offset, OUT) == Errno.BADF
    probe.pack(IOVS, "II", FAR, 8)
    assert probe(name, fd, iovs, count, *offset, OUT) == Errno.FAULT


@pytest.mark.timeout(20)
@pytest.mark.parametrize("rights", [0, RIGHT_READ, RIGHT_WRITE, RIGHT_READ | RIGHT_WRITE])
@pytest.mark.parametrize(("name", "follow"), [(b"pipe", 0), (b"pipe", 1), (b"link", 1)])
def test_a_named_pipe_is_not_opened(
    folder: tuple[Probe, Path], name: bytes, follow: int, rights: int
) -> None:
    """Its open would wait for another process, and nothing could stop the guest then."""
    probe, path = folder
    os.mkfifo(path / "pipe")
    (path / "link").symlink_to("pipe")
    probe.write(0, bytes(range(64)))
    probe.write(DATA, name)
    where = DATA, len(name)
    for oflags in (0, 1, 8):
        for flags in (0, NONBLOCK):
            opened = probe(
                "path_open", PREOPENED, follow, *where, oflags, rights, rights, flags, OUT
            )
            assert opened == Errno.NOTSUP
    assert probe("path_filestat_set_times", PREOPENED, 1, *where, 0, 0, 0b101) == Errno.NOTSUP
    assert probe.read(0, 64) == bytes(range(64))
    probe.write(0, name)
    assert probe("path_open", PREOPENED, follow, 0, len(name), 0, 2, 2, 0, OUT) == Errno.NOTSUP


@pytest.mark.parametrize("name", [b"null", b"zero"])
def test_a_device_is_opened(name: bytes) -> None:
    with Probe(dirs=[Preopen(Path("/dev"), ".")]) as probe:
        probe.write(DATA, name)
        assert probe("path_open", PREOPENED, 0, DATA, len(name), 0, 2, 2, 0, OUT) == 0
        assert probe("fd_read", probe.u32(OUT), *put_vectors(probe, 8), OUT) == 0


def test_peers_see_data_before_the_end(probe: Probe) -> None:
    fd, peer = connected(probe)
    assert probe("fd_write", fd, *put_vectors(probe, b"last words"), OUT) == 0
    assert probe("fd_close", fd) == 0
    assert peer.recv(64, socket.MSG_WAITALL) == b"last words"
    peer.close()


def test_files_are_limited_and_numbers_used_again(tmp_path: Path) -> None:
    with Probe(dirs=[Preopen(tmp_path, ".")], limits=Limits(sockets=8)) as probe:
        assert [open_file(probe, b"file") for _ in range(8)] == list(range(4, 12))
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            assert probe("path_open", PREOPENED, 0, DATA, 4, 1, 2, 2, 0, OUT) == Errno.MFILE
        for out in (OUT + 1, FAR):
            assert probe("path_open", PREOPENED, 0, DATA, 4, 1, 2, 2, 0, out) != 0
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        assert probe("fd_close", 5) == 0
        assert open_file(probe, b"file") == 5
        assert probe("fd_renumber", 5, 6) == 0
        assert open_file(probe, b"file") == 5
        assert probe("path_open", PREOPENED, 0, DATA, 4, 1, 2, 2, 0, OUT) == Errno.MFILE
