"""Tells from outside whether a guest hangs."""

import resource
import time
from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamaedge_host import Activity

COMPUTES = "wasi_ephemeral_nn."
"""How the names of host calls that compute begin."""
_LOADS = f"{COMPUTES}load"
_BUSY = 0.1  # of a CPU that this process uses while it computes


def thread_clock() -> Callable[[], float]:
    """Tells the seconds of a CPU that the calling thread has had, to any thread."""
    if not hasattr(time, "pthread_getcpuclockid"):  # macOS
        return time.monotonic
    clock = time.pthread_getcpuclockid(get_ident())
    return lambda: time.clock_gettime(clock)


class Vigil:
    """Looks at one guest again and again, by ``activity``.

    It hangs after ``limit`` seconds in wasm without a host call, of which ``clock`` tells those
    that its thread was computing, or after as many in one host call. But a call may wait for
    clients, load a model for as long as it takes, and compute for as long as anything comes of
    it: ``steps`` change, the process uses a CPU or reads from a disk.
    """

    def __init__(
        self,
        activity: Callable[[], "Activity"],
        clock: Callable[[], float],
        steps: Callable[[], object],
        *,
        limit: float,
    ) -> None:
        self._activity = activity
        self._clock = clock
        self._steps = steps
        self._limit = limit
        self._quiet = 0.0
        self._used = clock()
        self._place: tuple[int, str | None] = (-1, None)
        self._work: object = None
        self._cpu = 0.0

    def look(self, seconds: float) -> str | None:
        """What is wrong with the guest; the last look was ``seconds`` ago."""
        now = self._activity()
        used, self._used = self._used, self._clock()
        place = now.calls, now.call
        moved, self._place = place != self._place, place
        if moved or now.waits or self._lives(now.call):
            self._quiet = 0.0
            return None
        self._quiet += seconds if now.call else self._used - used
        if self._quiet < self._limit:
            return None
        where = f"in {now.call}" if now.call else "in a loop"
        return f"hung {where} for {self._limit:g} s"

    def _lives(self, call: str | None) -> bool:
        """Whether something comes of a computation."""
        if call is None or not call.startswith(COMPUTES):
            return False
        if call.startswith(_LOADS):
            return True
        usage = resource.getrusage(resource.RUSAGE_SELF)
        work = self._steps(), usage.ru_majflt, usage.ru_inblock
        cpu = usage.ru_utime + usage.ru_stime
        lives = work != self._work or cpu - self._cpu > _BUSY * max(self._quiet, 1.0)
        if lives:
            self._work, self._cpu = work, cpu
        return lives
