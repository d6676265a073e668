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

_log = logging.getLogger("llamaedge_host.nn")


def limit_spinning() -> None:
    """Choose how long this process and its children spin, where ``Contention`` cannot.

    Unless the environment says it. Call it before anything imports llama_cpp.
    """
    if chosen() or WAITED.exists():
        return
    if _mapped("libgomp"):
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


def _mapped(name: str) -> list[str]:
    """The libraries of this process with ``name`` in theirs."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return []
    return list(dict.fromkeys(re.findall(rf"/\S*/{name}[-.]\S*", maps)))


def _parallel() -> Any:
    """libgomp's function that runs something in a team, of the libgomp that llama.cpp has."""
    for library in (*_mapped("libggml-cpu"), *_mapped("libllama")):
        found: Any = getattr(ctypes.CDLL(library), "GOMP_parallel", None)
        if found is not None:
            found.restype = None
            found.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
            return found
    return None


class IdleTeam:
    """A team of OpenMP threads that does nothing, and is larger than there are CPUs."""

    def __init__(self) -> None:
        self._parallel: Any = None if chosen() else _parallel()
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
