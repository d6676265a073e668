"""Renders in a process that can be ended: ``python -m llamaedge_launcher.markdown.process``.

One JSON string a line comes in, one JSON object a line goes out: ``html``, or ``deep`` with the
reason. A text that computes for more than CPU_SECONDS ends the process with SIGPROF.
"""

import json
import os
import signal
import sys

from .render import TooDeep, render

try:
    import resource
except ImportError:  # only the parent's clock bounds it here
    resource = None  # type: ignore[assignment]

CPU_SECONDS = 2.0
"""That one text may compute."""
_MEMORY = 1 << 30  # bytes of address space
_NICENESS = 5  # so that answers do not wait for it


def main() -> int:
    """Answer every line; the exit code."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        answer = _answer(json.loads(line))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return 0


def _answer(text: str) -> dict[str, str]:
    try:
        return {"html": render(text)}
    except TooDeep as error:
        return {"deep": str(error)}


if __name__ == "__main__":
    sys.exit(main())
