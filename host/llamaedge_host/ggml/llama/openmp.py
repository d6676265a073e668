"""OpenMP, by which llama.cpp's threads wait for each other at a step's many barriers.

libgomp's threads spin at a barrier, for milliseconds, before they sleep. That is best while each
has a CPU; beside other work they burn what the one needs that they wait for. While it has more
threads than there are CPUs they hardly spin at all: its manual says so of GOMP_SPINCOUNT. So a
second team, which does nothing, makes the first one's threads sleep soon, and its end lets them
spin again.
"""

import ctypes
import logging
import os
import re
import threading
from functools import cache
from pathlib import Path
from typing import Any

SPINCOUNT = "GOMP_SPINCOUNT"
WAIT_POLICY = "OMP_WAIT_POLICY"
SPINS = "1000"
"""Rounds that a thread spins where nobody can tell whether other work lacks its CPU. libgomp's own
choice, 300,000, makes a fiftieth of the tokens there beside one busy process; a thousand cost a
twentieth of them on a quiet machine."""
WAITED = Path("/proc/thread-self/schedstat")
"""Where Linux tells how long a thread has waited for a CPU."""

_POINTER, _N = ctypes.c_void_p, ctypes.c_uint
_SOFT = 1
"""omp_pause_soft: what threads keep of their own stays."""

_log = logging.getLogger("llamaedge_host.nn")


def limit_spinning() -> None:
    """Choose how long this process and its children spin, where ``Contention`` cannot.

    Unless the environment says it. Call it before anything imports llama_cpp.
    """
    if chosen() or WAITED.exists():
        return
    if mapped("libgomp"):
        _log.info(
            "[WASI-NN] GGML backend: OpenMP is loaded already, so its threads spin as they did; set"
            " %s=%s in the environment, or import llamaedge_host first",
            SPINCOUNT,
            SPINS,
        )
    os.environ[SPINCOUNT] = SPINS


def chosen() -> bool:
    """Whether the environment says how long threads spin."""
    return SPINCOUNT in os.environ or WAIT_POLICY in os.environ


def mapped(name: str) -> list[str]:
    """The libraries of this process with ``name`` in theirs."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return []
    return list(dict.fromkeys(re.findall(rf"/\S*/{name}[-.]\S*", maps)))


def _function(name: str, result: Any, *arguments: Any) -> Any:
    """OpenMP's function ``name``, of the OpenMP that llama.cpp has; None if it has none such."""
    for library in (*mapped("libggml-cpu"), *mapped("libllama")):
        found: Any = getattr(ctypes.CDLL(library), name, None)
        if found is not None:
            found.restype, found.argtypes = result, list(arguments)
            return found
    return None


@cache
def _pause() -> Any:
    return _function("omp_pause_resource_all", ctypes.c_int, ctypes.c_int)


def end_team() -> None:
    """End the team that this thread has of something computed in it, such as weights laid out.

    It would count, as any team, while the thread is there, and the one that computes would not
    spin. Source: omp_pause_resource_all of OpenMP 5.0.
    """
    if (pause := _pause()) is not None:
        pause(_SOFT)


class IdleTeam:
    """A team of OpenMP threads that does nothing, and is larger than there are CPUs."""

    def __init__(self) -> None:
        self._parallel: Any = (
            None if chosen() else _function("GOMP_parallel", None, _POINTER, _POINTER, _N, _N)
        )
        self._over: threading.Event | None = None

    @property
    def possible(self) -> bool:
        """Whether there is a libgomp, and nobody else chose how long its threads spin."""
        return self._parallel is not None

    def come(self) -> None:
        """Let it be there, if it is possible."""
        if self._over is None and self.possible:
            self._over, ready = threading.Event(), threading.Event()
            run, arguments = self._stay, (ready, self._over)
            threading.Thread(target=run, args=arguments, name="openmp-idle", daemon=True).start()
            ready.wait()

    def _stay(self, ready: threading.Event, over: threading.Event) -> None:
        nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)  # of no memory: NULL
        self._parallel(nothing, None, len(os.sched_getaffinity(0)) + 1, 0)
        ready.set()
        over.wait()  # with this thread ends its team

    def go(self) -> None:
        """Let it end soon."""
        if self._over is not None:
            self._over.set()
            self._over = None
