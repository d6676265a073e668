"""Tries a projector's file in a process of its own.

mtmd checks few shapes of what it loads, and ends the process on the others.
"""

import os
import signal
import subprocess
import sys

CRASHES = frozenset((signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV))
"""How a process ends that was given such a file; any other end says nothing about it."""
SECONDS = 120.0
"""After so long a file is taken for one that cannot be loaded."""


def survives(path: str) -> bool:
    """Whether a process outlives loading the projector at ``path``, usable or not."""
    if not sys.executable:
        return True
    command = [sys.executable, "-P", __file__, path]
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    except OSError:  # no process can be started here
        return True
    return -done.returncode not in CRASHES


def main(path: str) -> None:
    """Load the projector at ``path`` and lay out its computation."""
    from llama_cpp import mtmd_cpp as mtmd

    asked = mtmd.mtmd_context_params_default()
    asked.use_gpu = False
    asked.warmup = True
    mtmd.mtmd_init_from_file(path.encode(), None, asked)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
