"""poll_oneoff and epoll_oneoff."""

import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from guests.probe import Probe
from guests.sockets import (
    DATA,
    DGRAM,
    INET4,
    LOOPBACK,
    OUT,
    connected,
    listening,
    open_socket,
    put_address,
    put_vectors,
)
from guests.streams import piped_stdin, piped_stdout

from llamaedge_host import GuestStopped, Limits, Preopen
from llamaedge_host.preview1.errnos import Errno
from llamaedge_host.waker import Waker

SUBSCRIPTIONS, EVENTS, COUNT = 0x1000, 0x4000, 0x80
FAR = 0x7FFFFFF8
CLOCK, READ, WRITE = 0, 1, 2
REALTIME, MONOTONIC = 0, 1
ABSOLUTE = 1
HANGUP = 1
MS = 1_000_000

Subscription = tuple[int, ...]
Event = tuple[int, int, int, int, int]
polls = pytest.mark.parametrize("name", ["poll_oneoff", "epoll_oneoff"])


def clock(userdata: int, timeout: int, clock_id: int = MONOTONIC, flags: int = 0) -> Subscription:
    return userdata, CLOCK, clock_id, timeout, 0, flags


def on(userdata: int, kind: int, fd: int) -> Subscription:
    return userdata, kind, fd, 0, 0, 0


def poll(probe: Probe, *subscriptions: Subscription, name: str = "poll_oneoff") -> list[Event]:
    for index, each in enumerate(subscriptions):
        probe.pack(SUBSCRIPTIONS + 48 * index, "QB7xI4xQQH6x", *each)
    assert probe(name, SUBSCRIPTIONS, EVENTS, len(subscriptions), COUNT) == 0
    return [
        probe.unpack(EVENTS + 32 * index, "QHB5xQH6x")  # type: ignore[misc]
        for index in range(probe.u32(COUNT))
    ]


def now(probe: Probe, clock_id: int) -> int:
    assert probe("clock_time_get", clock_id, 1, OUT) == 0
    return probe.unpack(OUT, "Q")[0]


@polls
@pytest.mark.parametrize("clock_id", [REALTIME, MONOTONIC])
@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
def test_a_clock(probe: Probe, name: str, clock_id: int, absolute: bool) -> None:
    started = time.monotonic()
    timeout = 30 * MS + (now(probe, clock_id) if absolute else 0)
    flags = ABSOLUTE if absolute else 0
    events = poll(probe, clock(7, timeout, clock_id, flags), name=name)
    assert events == [(7, 0, CLOCK, 0, 0)]
    assert 0.029 <= time.monotonic() - started < 0.5


def test_a_time_that_is_past(probe: Probe) -> None:
    assert poll(probe, clock(7, 0)) == [(7, 0, CLOCK, 0, 0)]
    assert poll(probe, clock(7, 1, REALTIME, ABSOLUTE)) == [(7, 0, CLOCK, 0, 0)]


def test_a_pause_of_microseconds_is_none_of_a_millisecond(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """poll(2) counts milliseconds, and would take one for each."""
    asked, ask = list[float | None](), Waker.poll

    def recorded(self: Waker, poller: Any, milliseconds: float | None) -> list[tuple[int, int]]:
        asked.append(milliseconds)
        return ask(self, poller, milliseconds)

    monkeypatch.setattr(Waker, "poll", recorded)
    started = time.monotonic_ns()
    assert poll(probe, clock(7, MS // 2)) == [(7, 0, CLOCK, 0, 0)]
    assert time.monotonic_ns() - started >= MS // 2
    assert set(asked) == {0}


def test_data_comes_before_the_end_of_a_pause_of_microseconds(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        peer.sendall(b"12345")
        assert poll(probe, on(1, READ, fd), clock(2, MS // 2)) == [(1, 0, READ, 5, 0)]


def test_the_first_of_many_clocks(probe: Probe) -> None:
    subscriptions = [clock(1, 2**64 - 1), clock(2, 20 * MS), clock(3, 3600_000 * MS)]
    assert poll(probe, *subscriptions) == [(2, 0, CLOCK, 0, 0)]


@pytest.mark.parametrize("bad", [(2, 0), (3, 0), (4, 0), (0xFFFFFFFF, 0), (1, 2), (1, 0xFFFF)])
def test_unknown_clocks_and_flags(probe: Probe, bad: tuple[int, int]) -> None:
    clock_id, flags = bad
    events = poll(probe, clock(1, 3600_000 * MS), clock(2, 0, clock_id, flags))
    assert events == [(2, Errno.INVAL, CLOCK, 0, 0)]


def test_an_unknown_type(probe: Probe) -> None:
    assert poll(probe, (9, 3, 0, 0, 0, 0)) == [(9, Errno.INVAL, 3, 0, 0)]


@polls
def test_data_that_waits(probe: Probe, name: str) -> None:
    fd, peer = connected(probe)
    with peer:
        assert poll(probe, on(1, READ, fd), clock(2, 10 * MS), name=name) == [(2, 0, CLOCK, 0, 0)]
        peer.sendall(b"12345")
        assert poll(probe, on(1, READ, fd), clock(2, 5000 * MS), name=name) == [(1, 0, READ, 5, 0)]
        assert poll(probe, on(1, READ, fd), name=name) == [(1, 0, READ, 5, 0)]


def test_data_that_comes(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        threading.Timer(0.05, peer.sendall, (b"x",)).start()
        assert poll(probe, on(1, READ, fd)) == [(1, 0, READ, 1, 0)]


def test_room_to_send(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        ((userdata, errno, kind, room, flags),) = poll(probe, on(1, WRITE, fd))
        assert (userdata, errno, kind, flags) == (1, 0, WRITE, 0)
        assert room > 1000
        assert len(poll(probe, on(1, WRITE, fd), on(2, READ, fd))) == 1
        peer.sendall(b"x")
        assert {event[0] for event in poll(probe, on(1, WRITE, fd), on(2, READ, fd))} == {1, 2}


def test_a_hangup(probe: Probe) -> None:
    fd, peer = connected(probe)
    assert probe("sock_shutdown", fd, 2) == 0
    peer.close()
    deadline = time.monotonic() + 5
    while poll(probe, on(1, READ, fd)) != [(1, 0, READ, 1, HANGUP)]:
        assert time.monotonic() < deadline


def test_a_listener_is_readable_when_a_connection_waits(probe: Probe) -> None:
    fd, port = listening(probe)
    assert poll(probe, on(1, READ, fd), clock(2, MS)) == [(2, 0, CLOCK, 0, 0)]
    with socket.create_connection(("127.0.0.1", port)):
        assert poll(probe, on(1, READ, fd)) == [(1, 0, READ, 1, 0)]


def test_a_connection_that_fails_is_writable(probe: Probe, free_port: int) -> None:
    fd = open_socket(probe)
    assert probe("fd_fdstat_set_flags", fd, 4) == 0
    probe("sock_connect", fd, put_address(probe, LOOPBACK[INET4]), free_port)
    assert poll(probe, on(1, WRITE, fd))[0][:3] == (1, 0, WRITE)


def test_a_second_subscription_of_one_kind(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        peer.sendall(b"x")
        events = poll(probe, on(1, READ, fd), on(2, READ, fd), on(3, WRITE, fd))
        assert sorted(event[:3] for event in events) == [
            (1, 0, READ),
            (2, Errno.EXIST, READ),
            (3, 0, WRITE),
        ]


@pytest.mark.parametrize("fd", [65600, 50, 0xFFFFFFFF])
@pytest.mark.parametrize("kind", [READ, WRITE])
def test_descriptors_that_are_not_open(probe: Probe, fd: int, kind: int) -> None:
    events = poll(probe, on(1, kind, fd), clock(2, 3600_000 * MS))
    assert events == [(1, Errno.BADF, kind, 0, 0)]


def test_files_and_streams_are_ready(tmp_path: Path) -> None:
    with Probe(dirs=[Preopen(tmp_path, ".")]) as probe:
        probe.write(DATA, b"file")
        assert probe("path_open", 3, 0, DATA, 4, 1, 66, 66, 0, OUT) == 0
        fd = probe.u32(OUT)
        events = poll(probe, on(1, READ, fd), on(2, WRITE, fd), on(3, WRITE, 1), on(4, WRITE, 2))
        assert [event[:2] for event in events] == [(1, 0), (2, 0), (3, 0), (4, 0)]


@pytest.fixture
def stdin() -> Iterator[int]:
    with piped_stdin() as writer:
        yield writer


def test_standard_input_with_sockets_and_clocks(probe: Probe, stdin: int) -> None:
    fd, peer = connected(probe)
    mix = [on(1, READ, 0), on(2, READ, fd), clock(3, 20 * MS)]
    with peer:
        assert poll(probe, *mix) == [(3, 0, CLOCK, 0, 0)]
        os.write(stdin, b"abc")
        assert poll(probe, *mix) == [(1, 0, READ, 3, 0)]
        peer.sendall(b"xy")
        deadline = time.monotonic() + 5
        while (events := poll(probe, *mix)) != [(1, 0, READ, 3, 0), (2, 0, READ, 2, 0)]:
            assert time.monotonic() < deadline, events
        assert probe("fd_read", 0, *put_vectors(probe, 2), OUT) == 0
        assert poll(probe, on(1, READ, 0)) == [(1, 0, READ, 1, 0)]


def test_standard_output_is_ready_when_its_pipe_has_room(probe: Probe) -> None:
    subscriptions = [on(1, WRITE, 1), clock(2, 10 * MS)]
    with piped_stdout() as reader:
        empty = poll(probe, *subscriptions)
        os.set_blocking(1, False)
        with suppress(BlockingIOError):
            while True:
                os.write(1, b"x" * 4096)
        full = poll(probe, *subscriptions)
        os.read(reader, 1 << 16)
    assert empty == [(1, 0, WRITE, 1, 0)]
    assert full == [(2, 0, CLOCK, 0, 0)]


def test_errnos(probe: Probe) -> None:
    call = "poll_oneoff"
    probe.pack(SUBSCRIPTIONS, "QB7xI4xQQH6x", *clock(1, 0))
    assert probe(call, SUBSCRIPTIONS + 4, EVENTS, 1, COUNT) == Errno.ADDRNOTAVAIL
    assert probe(call, SUBSCRIPTIONS, EVENTS + 4, 1, COUNT) == Errno.ADDRNOTAVAIL
    assert probe(call, SUBSCRIPTIONS, EVENTS, 1, COUNT + 2) == Errno.ADDRNOTAVAIL
    assert probe(call, FAR, EVENTS, 1, COUNT) == Errno.FAULT
    assert probe(call, SUBSCRIPTIONS, FAR, 1, COUNT) == Errno.FAULT
    assert probe(call, SUBSCRIPTIONS, EVENTS, 1, FAR) == Errno.FAULT
    for count in (0, 16385, 0xFFFFFFFF):
        assert probe(call, SUBSCRIPTIONS, EVENTS, count, COUNT) == Errno.INVAL


def test_subscriptions_and_events_in_one_place(probe: Probe) -> None:
    """A guest may let the events overwrite the subscriptions."""
    for index in range(3):
        probe.pack(SUBSCRIPTIONS + 48 * index, "QB7xI4xQQH6x", *clock(index, 0))
    assert probe("poll_oneoff", SUBSCRIPTIONS, SUBSCRIPTIONS, 3, COUNT) == 0
    found = [probe.unpack(SUBSCRIPTIONS + 32 * index, "Q")[0] for index in range(3)]
    assert found == [0, 1, 2]


def test_a_thousand_sockets() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2048:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with Probe(limits=Limits(sockets=1000)) as probe:
        fds = [open_socket(probe, INET4, DGRAM) for _ in range(1000)]
        assert probe("sock_bind", fds[500], put_address(probe, LOOPBACK[INET4]), 0) == 0
        probe.pack(0x100, "II", 0x200, 16)
        assert probe("sock_getlocaladdr", fds[500], 0x100, OUT, OUT + 8) == 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.sendto(b"wake", ("127.0.0.1", probe.u32(OUT + 8)))
        subscriptions, events = 0x10000, 0x30000
        for index, fd in enumerate(fds):
            probe.pack(subscriptions + 48 * index, "QB7xI", index, READ, fd)
        started = time.monotonic()
        assert probe("poll_oneoff", subscriptions, events, 1000, COUNT) == 0
        assert time.monotonic() - started < 0.5
        assert probe.u32(COUNT) == 1
        assert probe.unpack(events, "QHB5xQ") == (500, 0, READ, 4)


def test_waiting_costs_no_cpu_time(probe: Probe) -> None:
    fd, peer = connected(probe)
    with peer:
        before = time.process_time()
        poll(probe, on(1, READ, fd), clock(2, 300 * MS))
        assert time.process_time() - before < 0.1


@polls
def test_a_guest_that_polls_can_be_stopped(probe: Probe, name: str) -> None:
    fd, _ = listening(probe)
    threading.Timer(0.05, probe.guest.stop).start()
    started = time.monotonic()
    with pytest.raises(GuestStopped):
        poll(probe, on(1, READ, fd), clock(2, 3600_000 * MS), name=name)
    assert time.monotonic() - started < 1
