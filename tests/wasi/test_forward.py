"""What goes to wasmtime: a bad pointer is an errno, however often the function is called."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from guests.probe import Probe
from guests.sockets import OUT

from llamaedge_host import Preopen
from llamaedge_host.preview1.errnos import Errno

FAR = 0x7FFFFFF8
LAST = 8 * 65536 - 8
REALTIME, MONOTONIC = 0, 1
CALLS = {
    "args_get": (OUT, OUT),
    "args_sizes_get": (OUT, OUT),
    "clock_res_get": (REALTIME, OUT),
    "clock_time_get": (REALTIME, 1, OUT),
    "environ_get": (OUT, OUT),
    "environ_sizes_get": (OUT, OUT),
    "fd_prestat_get": (3, OUT),
    "random_get": (OUT, 8),
}


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Probe]:
    with Probe(args=["one"], env={"NAME": "value"}, dirs=[Preopen(tmp_path, ".")]) as made:
        yield made


@pytest.mark.parametrize("name", CALLS)
def test_a_pointer_outside_memory(probe: Probe, name: str) -> None:
    for _ in range(2):
        arguments = [FAR if each == OUT else each for each in CALLS[name]]
        assert probe(name, *arguments) == Errno.FAULT
        assert probe(name, *CALLS[name]) == 0


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"random_get"}))
def test_a_misaligned_pointer(probe: Probe, name: str) -> None:
    for _ in range(2):
        arguments = [OUT + 1 if each == OUT else each for each in CALLS[name]]
        assert probe(name, *arguments) == Errno.ADDRNOTAVAIL
        assert probe(name, *CALLS[name]) == 0


def test_the_clock_at_the_end_of_memory(probe: Probe) -> None:
    for _ in range(2):
        assert probe("clock_time_get", REALTIME, 1, LAST) == 0
        assert abs(probe.unpack(LAST, "Q")[0] / 1e9 - time.time()) < 60
        assert probe("clock_time_get", REALTIME, 1, LAST + 8) == Errno.FAULT
        assert probe("clock_time_get", REALTIME, 1, 0xFFFFFFF8) == Errno.FAULT
    assert probe.guest.call("grow", 1) == 8
    assert probe("clock_time_get", REALTIME, 1, LAST + 8) == 0


def test_clocks(probe: Probe) -> None:
    times = []
    for _ in range(3):
        assert probe("clock_time_get", MONOTONIC, 1, OUT) == 0
        times.append(probe.unpack(OUT, "Q")[0])
    assert times == sorted(times)
    for clock in (4, 0xFFFFFFFF):
        assert probe("clock_time_get", clock, 1, OUT) == Errno.INVAL
