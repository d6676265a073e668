"""Whether other work takes the CPUs that this process computes on, and what follows from it.

Threads that wait for each other must all run at once. Linux counts how long a thread that could
run has waited for a CPU: if the unluckiest of this process waits a good part of the time, others
need the CPUs too. Then OpenMP's threads are to sleep rather than spin.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .openmp import WAITED, IdleTeam

EVERY = 0.1
"""Seconds of computing between two looks."""
BUSY = 0.2
"""The part of the time that a thread waits for a CPU at least, if others need it."""
QUIET = 0.1
"""The part of the time that no thread waits longer than, if none needs it any more."""
LOOKS = 2
"""Looks, one after another, that must find the same before it is believed."""
_LEAST_PRIORITY = 19
_TASKS = "/proc/self/task"
_STAT = Path("/proc/stat")
_humble: set[str] = set()
"""Threads that give way to all others."""


class Contention:
    """Looks while something is computed, from ``work`` to ``rest`` of the thread that computes.

    ``there`` is whether other work takes the CPUs, None if nothing tells.
    """

    def __init__(self) -> None:
        self.there: bool | None = False if WAITED.exists() else None
        self._team: IdleTeam | None = None  # llama.cpp's library may not be loaded yet
        self._working = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._looks = 0
        self._sign = 0
        """What the last ``_looks`` found: 1 for others who need the CPUs, -1 for none."""

    def work(self) -> None:
        """Something is computed from now on, by OpenMP's threads."""
        if self.there is None:
            return
        self._working.set()
        if self._thread is None:
            self._over.clear()
            self._thread = threading.Thread(target=self._watch, name="contention", daemon=True)
            self._thread.start()

    def rest(self) -> None:
        """Nothing is computed now."""
        self._working.clear()

    def end(self) -> None:
        """Nothing will be computed until ``work`` is called again."""
        if self._thread is not None:
            self._over.set()
            self._working.set()
            self._thread.join()
            self._thread = None
            self._working.clear()

    def _watch(self) -> None:
        team = self._team = self._team or IdleTeam()
        before: dict[str, int] = {}
        since = 0.0
        while self._working.wait():
            if not before:
                before, since = waited(), time.monotonic()
            if self._over.wait(EVERY):
                break
            if self._working.is_set():
                after, now = waited(), time.monotonic()
                self._look(team, before, after, now - since)
                before, since = after, now
            else:
                before = {}
        team.go()
        self.there = False

    def _look(
        self, team: IdleTeam, before: dict[str, int], after: dict[str, int], seconds: float
    ) -> None:
        longest = max((after[task] - before.get(task, after[task]) for task in after), default=0)
        part = longest / 1e9 / seconds
        sign = (part > BUSY) - (part < QUIET)
        self._looks = self._looks + 1 if sign == self._sign else 1
        self._sign = sign
        if self._looks < LOOKS:
            return
        if sign > 0:
            self.there = True
            team.come()
        elif sign < 0:
            self.there = False
            team.go()


class IdleCpus:
    """Tells how many of this process's CPUs nobody used."""

    def __init__(self) -> None:
        self._since = self._before = 0.0

    def look(self) -> bool:
        """Look from now on; whether the system tells of it."""
        idle = _idle_seconds()
        self._since, self._before = time.monotonic(), idle or 0.0
        return idle is not None

    def cpus(self) -> float:
        """How many were idle since then, on average."""
        idle = (_idle_seconds() or self._before) - self._before
        return idle / max(time.monotonic() - self._since, 1e-9)


def _idle_seconds() -> float | None:
    """Seconds that the CPUs that this process may use have been idle, all together."""
    try:
        lines = _STAT.read_text().splitlines()
        mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        rows = (fields for line in lines if (fields := line.split(maxsplit=6))[0] in mine)
        ticks = [int(fields[4]) + int(fields[5]) for fields in rows]
    except (OSError, AttributeError, IndexError, ValueError):
        return None
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if len(ticks) == len(mine) else None


@contextmanager
def humbly() -> Iterator[None]:
    """What this thread, which ends with the block, does only where a CPU has nothing else to do."""
    number = threading.get_native_id()
    _humble.add(str(number))
    try:
        os.setpriority(os.PRIO_PROCESS, number, _LEAST_PRIORITY)
        yield
    finally:
        _humble.discard(str(number))


def waited() -> dict[str, int]:
    """Nanoseconds that each thread of this process could have run and had no CPU, by its number.

    Those are left out that give way to all others.
    """
    found = {}
    for task in os.listdir(_TASKS):  # noqa: PTH208 - twice as fast
        if task in _humble:
            continue
        try:
            with open(f"{_TASKS}/{task}/schedstat", "rb", buffering=0) as file:  # noqa: PTH123
                found[task] = int(file.read().split()[1])
        except (OSError, IndexError):
            continue  # it has ended
    return found
