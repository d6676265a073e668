"""Other work on the CPUs: what tells of it, and what is done about it. No test measures time."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import cast

import pytest

from llamaedge_host.ggml.llama import contention
from llamaedge_host.ggml.llama.contention import (
    BUSY,
    LOOKS,
    QUIET,
    Contention,
    IdleCpus,
    humbly,
    waited,
)
from llamaedge_host.ggml.llama.openmp import WAITED, IdleTeam

LINUX = pytest.mark.skipif(not WAITED.exists(), reason="the system tells of no waiting")
SOON = 60.0


class Team:
    """Stands for OpenMP's: whether it is there."""

    there = False

    def come(self) -> None:
        self.there = True

    def go(self) -> None:
        self.there = False


@pytest.fixture
def looking() -> Iterator[tuple[Contention, Team]]:
    """One that is shown what threads waited."""
    found, team = Contention(), Team()
    yield found, team
    found.end()


def look(looking: tuple[Contention, Team], *parts: float) -> None:
    """A look at threads that waited these parts of a second."""
    found, team = looking
    after = {str(number): 7 + int(part * 1e9) for number, part in enumerate(parts)}
    found._look(cast(IdleTeam, team), dict.fromkeys(after, 7), after, 1.0)


@LINUX
def test_a_thread_that_waits_again_and_again_tells_of_other_work(
    looking: tuple[Contention, Team],
) -> None:
    found, team = looking
    for _ in range(LOOKS - 1):
        look(looking, 0.0, BUSY + 0.1)
        assert not found.there
    look(looking, BUSY + 0.1, 0.0)
    assert found.there
    assert team.there


@LINUX
def test_threads_that_wait_a_little_or_once_do_not(looking: tuple[Contention, Team]) -> None:
    found, team = looking
    for _ in range(3 * LOOKS):
        look(looking, 0.0, BUSY + 0.1)
        look(looking, *[QUIET / 2] * 50)
        look(looking, BUSY - 0.01)
    assert not found.there
    assert not team.there


@LINUX
def test_it_is_over_once_nobody_waits_any_more(looking: tuple[Contention, Team]) -> None:
    found, team = looking
    for _ in range(LOOKS):
        look(looking, BUSY + 0.1)
    for _ in range(5):  # neither is certain
        look(looking, (BUSY + QUIET) / 2)
    assert found.there
    for _ in range(LOOKS - 1):
        look(looking, 0.0)
        assert found.there
    look(looking, 0.0)
    assert not found.there
    assert not team.there


@LINUX
def test_threads_that_came_or_ended_meanwhile_count_for_nothing(
    looking: tuple[Contention, Team],
) -> None:
    found, team = looking
    for _ in range(LOOKS):
        found._look(cast(IdleTeam, team), {"1": 0, "2": 5}, {"1": 3, "3": 10**9}, 0.1)
    assert not found.there
    assert found._looks == LOOKS


@LINUX
def test_it_looks_while_something_is_computed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: SimpleQueue[None] = SimpleQueue()
    monkeypatch.setattr(contention, "EVERY", 0.001)
    monkeypatch.setattr(Contention, "_look", lambda *_: looks.put(None))
    found, before = Contention(), threading.active_count()
    found.end()
    found.rest()
    assert threading.active_count() == before
    found.work()
    found.work()
    assert threading.active_count() == before + 1
    for _ in range(3):
        looks.get(timeout=SOON)
    found.rest()
    seen = looks.qsize()
    time.sleep(0.1)
    assert looks.qsize() <= seen + 1  # which was under way
    while not looks.empty():
        looks.get()
    found.work()
    looks.get(timeout=SOON)
    found.end()
    assert threading.active_count() == before
    found.work()
    looks.get(timeout=SOON)
    found.end()
    assert threading.active_count() == before


def test_where_nothing_tells_it_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contention, "WAITED", Path("/nowhere"))
    found, before = Contention(), threading.active_count()
    found.work()
    assert found.there is None
    assert threading.active_count() == before
    found.rest()
    found.end()


@LINUX
def test_each_thread_of_this_process_is_seen() -> None:
    over = threading.Event()
    before = waited()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        after = waited()
        assert str(thread.native_id) in after.keys() - before.keys()
        assert all(after[task] >= before[task] for task in after.keys() & before.keys())
    finally:
        over.set()
        thread.join()


@LINUX
def test_a_thread_that_gives_way_to_all_others_tells_of_nothing() -> None:
    came, over = threading.Event(), threading.Event()

    def give_way() -> None:
        with humbly():
            came.set()
            over.wait()

    thread = threading.Thread(target=give_way)
    thread.start()
    try:
        assert came.wait(SOON)
        number = thread.native_id
        assert number is not None
        assert str(number) not in waited()
        assert os.getpriority(os.PRIO_PROCESS, number) == 19
        assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < 19
    finally:
        over.set()
        thread.join()
    assert str(threading.get_native_id()) in waited()


def test_idle_cpus_are_those_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Idle, or waiting for a disk: 0.5 and 0.5 s of the two in half a second."""
    ticks, stat = os.sysconf("SC_CLK_TCK"), tmp_path / "stat"

    def told(*idle: tuple[int, int]) -> None:
        rows = (f"cpu{at} 9 9 9 {one} {two} 9 9 0 0 0" for at, (one, two) in enumerate(idle))
        stat.write_text("\n".join(["cpu  9 9 9 9 9 9 9 0 0 0", *rows, "intr 7 0 0"]))

    monkeypatch.setattr(contention, "_STAT", stat)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2})
    now = [7.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    told((100, 5), (0, 0), (30, 0))
    idle = IdleCpus()
    assert idle.look()
    now[0] += 0.5
    told((100 + ticks // 2, 5), (9000, 0), (30, ticks // 2))
    assert idle.cpus() == pytest.approx(2.0)


def test_where_nothing_tells_of_idle_cpus_nobody_looks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "stat").write_text("cpu  1 2 3 4 5\nintr 0\n")
    for place in (Path("/nowhere"), tmp_path / "stat"):
        monkeypatch.setattr(contention, "_STAT", place)
        assert not IdleCpus().look()


@LINUX
def test_threads_of_one_cpu_wait_for_each_other() -> None:
    """More threads than CPUs that compute: one of them has to wait, whatever else runs."""
    program = """
import os, sys, time
from llamaedge_host.ggml.llama.contention import waited
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
if child := os.fork():
    before, until = waited(), time.monotonic() + 1.0
    while time.monotonic() < until:
        pass
    after = waited()
    os.kill(child, 9)
    print(max(after[task] - before.get(task, after[task]) for task in after) / 1e9)
else:
    while True:
        pass
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) > BUSY
