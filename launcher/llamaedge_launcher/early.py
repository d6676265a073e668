"""A worker process that starts before anybody knows what it is to serve.

It takes as long to import what it computes with as the front takes to read its command line and to
find the models. So both happen at once.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from . import rlimit
from .variables import SECRETS

COMMAND = (sys.executable, "-P", "-m", "llamaedge_launcher.worker")

Started = tuple[socket.socket, "subprocess.Popen[bytes]"]
"""Our end of the socket that is a worker's standard input, and the worker."""


def start(command: Sequence[str]) -> Started:
    """A worker that waits for what it is to serve. Raises OSError."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            environment = {key: text for key, text in os.environ.items() if key not in SECRETS}
            process = subprocess.Popen(
                command, stdin=theirs.fileno(), start_new_session=True, env=environment
            )
        except BaseException:
            ours.close()
            raise
    return ours, process


_started: list[Started] = []


def begin() -> None:
    """Start a worker for the first who takes one, with the limits that it is to have."""
    rlimit.raise_limit()
    with suppress(OSError):  # which the one meets who needs it
        _started.append(start(COMMAND))


def take(command: Sequence[str] = COMMAND) -> Started:
    """The worker that was begun, if there is one, or another. Raises OSError."""
    return _started.pop() if _started and command == COMMAND else start(command)


def end() -> None:
    """End the worker that nobody took."""
    while _started:
        ours, process = _started.pop()
        ours.close()
        process.kill()
        process.wait()
