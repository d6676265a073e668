"""OpenMP, by which llama.cpp's threads wait for each other at a step's many barriers.

libgomp reads its environment when it is loaded, and llama.cpp's library loads it.
"""

import logging
import os
import re
from pathlib import Path

SPINCOUNT = "GOMP_SPINCOUNT"
WAIT_POLICY = "OMP_WAIT_POLICY"
SPINS = "1000"
"""Rounds that a thread spins at a barrier before it sleeps. libgomp's own choice, 300,000, burns
what its partner needs: beside one busy process a server then makes a fiftieth of its tokens. Fewer
than a few hundred put threads to sleep that would be needed at once."""

_log = logging.getLogger("llamaedge_host.nn")


def limit_spinning() -> None:
    """Choose how long this process and its children spin, unless the environment says it.

    Call it before anything imports llama_cpp.
    """
    if SPINCOUNT in os.environ or WAIT_POLICY in os.environ:
        return
    if _loaded():
        _log.info(
            "[WASI-NN] GGML backend: OpenMP is loaded already, so its threads spin as they did; set"
            " %s=%s in the environment, or import llamaedge_host first",
            SPINCOUNT,
            SPINS,
        )
    os.environ[SPINCOUNT] = SPINS


def _loaded() -> bool:
    """Whether this process has the libgomp that llama.cpp will use."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return False
    return re.search(r"/libgomp[-.]", maps) is not None
