"""A guest's standard streams: the process's own, files, functions."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from guests.probe import Probe
from guests.sockets import DATA, NONBLOCK, OUT, put_vectors, set_nonblocking
from guests.streams import piped_stdin, piped_stdout

from llamaedge_host import GuestStopped, HostError
from llamaedge_host.preview1.errnos import Errno

ROOM = 0x300
FDSTAT = "BxH4xQQ"


@pytest.fixture
def stdin() -> Iterator[int]:
    with piped_stdin() as writer:
        yield writer


def test_standard_input(probe: Probe, stdin: int) -> None:
    os.write(stdin, b"one line\n")
    assert probe("fd_read", 0, *put_vectors(probe, 3), OUT) == 0
    assert probe.read(DATA, 3) == b"one"
    assert probe("fd_read", 0, *put_vectors(probe, 64), OUT) == 0
    assert probe.read(DATA, probe.u32(OUT)) == b" line\n"


def test_standard_input_that_does_not_block(probe: Probe, stdin: int) -> None:
    set_nonblocking(probe, 0)
    assert probe("fd_fdstat_get", 0, ROOM) == 0
    assert probe.unpack(ROOM, FDSTAT)[1] & NONBLOCK
    assert probe("fd_read", 0, *put_vectors(probe, 8), OUT) == Errno.AGAIN
    os.write(stdin, b"x")
    assert probe("fd_read", 0, *put_vectors(probe, 8), OUT) == 0


def test_a_guest_that_reads_standard_input_can_be_stopped(probe: Probe, stdin: int) -> None:
    threading.Timer(0.05, probe.guest.stop).start()
    started = time.monotonic()
    with pytest.raises(GuestStopped):
        probe("fd_read", 0, *put_vectors(probe, 8), OUT)
    assert time.monotonic() - started < 1


def test_standard_input_that_the_guest_closed(probe: Probe, stdin: int) -> None:
    assert probe("fd_close", 0) == 0
    assert probe("fd_read", 0, *put_vectors(probe, 8), OUT) == Errno.BADF
    os.write(stdin, b"still the host's")


def test_a_file_as_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("from a file")
    with Probe(stdin=path) as probe:
        assert probe("fd_read", 0, *put_vectors(probe, 64), OUT) == 0
        assert probe.read(DATA, probe.u32(OUT)) == b"from a file"


@pytest.mark.timeout(20)
def test_a_named_pipe_as_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with Probe(stdin=path) as probe:
        writer = os.open(path, os.O_WRONLY)
        os.write(writer, b"from a pipe")
        assert probe("fd_read", 0, *put_vectors(probe, 64), OUT) == 0
        assert probe.read(DATA, probe.u32(OUT)) == b"from a pipe"
        threading.Timer(0.05, probe.guest.stop).start()
        with pytest.raises(GuestStopped):
            probe("fd_read", 0, *put_vectors(probe, 64), OUT)
        os.close(writer)


def test_a_missing_file_as_standard_input(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="missing"):
        Probe(stdin=tmp_path / "missing")


def test_standard_output(probe: Probe) -> None:
    vectors = put_vectors(probe, b"", b"out")
    with piped_stdout() as reader:
        assert probe("fd_write", 1, *vectors, OUT) == 0
        assert probe.u32(OUT) == 3
        assert os.read(reader, 64) == b"out"
        assert probe("fd_write", 1, *vectors[:1], 1, OUT) == 0
        assert probe.u32(OUT) == 0


def test_standard_output_takes_all(probe: Probe) -> None:
    parts = b"a" * 1000, b"", b"b" * 70_000, b"c" * 10
    received: list[bytes] = []
    with piped_stdout() as reader:
        vectors = put_vectors(probe, *parts)
        size = sum(map(len, parts))
        thread = threading.Thread(target=lambda: received.append(read_all(reader, size)))
        thread.start()
        answer = probe("fd_write", 1, *vectors, OUT), probe.u32(OUT)
        os.write(1, bytes(size - answer[1]))  # or the reader would wait
        thread.join()
    assert answer == (0, size)
    assert received == [b"".join(parts)]


def read_all(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(fd, size - len(data))
    return data


def test_a_reader_that_has_gone(probe: Probe) -> None:
    vectors = put_vectors(probe, b"out")
    with piped_stdout() as reader:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, reader)
        os.close(null)
        answer = probe("fd_write", 1, *vectors, OUT)
    assert answer == Errno.PIPE


def test_standard_output_that_the_guest_closed(probe: Probe) -> None:
    vectors = put_vectors(probe, b"out")
    with piped_stdout():
        closed, answer = probe("fd_close", 1), probe("fd_write", 1, *vectors, OUT)
        os.write(1, b"still the host's")
    assert (closed, answer) == (0, Errno.BADF)


def test_functions_as_streams() -> None:
    out: list[bytes] = []
    err: list[bytes] = []
    with Probe(stdout=out.append, stderr=err.append) as probe:
        assert probe("fd_write", 1, *put_vectors(probe, b"to ", b"out"), OUT) == 0
        assert probe.u32(OUT) == 6
        assert probe("fd_write", 2, *put_vectors(probe, b"to err"), OUT) == 0
    assert (out, err) == ([b"to out"], [b"to err"])
