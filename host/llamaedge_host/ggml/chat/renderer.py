"""The process that renders chat templates, seen from here."""

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from weakref import finalize

from ...nn.errno import NnErrno
from ..errors import GgmlError

SECONDS = 60.0
"""By the clock, for one rendering; a machine that is busy needs more than it computes."""
_AT_ONCE = 2**16
_PASSED_ON = (
    "PYTHONHOME",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
    "TZ",
)
"""Of the environment; the rest is none of a template's business."""


class TemplateRefusal(GgmlError):
    """A template says that it does not take a conversation; the message is its own."""


class TemplateFailure(GgmlError):
    """A template failed on a conversation, or took more than a rendering may take."""


class BrokenTemplate(GgmlError):
    """A template that cannot be used with any conversation."""


_ERRORS = {
    "refused": (TemplateRefusal, "the chat template refuses this conversation: {}"),
    "failed": (TemplateFailure, "the chat template cannot write this conversation: {}"),
    "broken": (BrokenTemplate, "the chat template cannot be used: {}"),
}


class Renderer:
    """Renders templates, in a process that is started when it is needed. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._end: finalize[..., Any] | None = None

    def render(self, source: str, values: dict[str, Any]) -> str:
        """The text that the template ``source`` makes of ``values``, which JSON can carry.

        Raises TemplateRefusal, TemplateFailure and BrokenTemplate (all INVALID_ARGUMENT), and
        GgmlError (RUNTIME_ERROR) where no process can be started.
        """
        request = json.dumps({"source": source, "values": values}).encode() + b"\n"
        with self._lock:
            process = self._running()
            line = _exchange(process, request)
            if not line.endswith(b"\n"):
                self._forget()
                raise TemplateFailure(
                    NnErrno.INVALID_ARGUMENT, _ERRORS["failed"][1].format(_end_of(process))
                )
        answer: dict[str, str] = json.loads(line)
        if "text" in answer:
            return answer["text"]
        [(kind, why)] = answer.items()
        error, message = _ERRORS[kind]
        raise error(NnErrno.INVALID_ARGUMENT, message.format(why or "it does not say why"))

    def begin(self) -> None:
        """Start the process now, if it can be started: the first text need not wait for it."""
        with self._lock, suppress(GgmlError):  # which render() raises
            self._running()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._forget()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._forget()
            self._process = _start()
            self._end = finalize(self, _stop, self._process)
        return self._process

    def _forget(self) -> None:
        if self._end is not None:
            self._end()
        self._process = self._end = None


def _exchange(process: subprocess.Popen[bytes], request: bytes) -> bytes:
    """The line that ``process`` answers to ``request``; a part of it if it ends before that."""
    assert process.stdin and process.stdout
    until = time.monotonic() + SECONDS
    left, line = memoryview(request), bytearray()
    with selectors.DefaultSelector() as pipes:
        pipes.register(process.stdin, selectors.EVENT_WRITE)
        pipes.register(process.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            ready = {key.fileobj for key, _ in pipes.select(max(until - time.monotonic(), 0))}
            if not ready:
                process.kill()
                break
            if process.stdin in ready:
                left = left[_written(process.stdin, left) :]
                if not left:
                    pipes.unregister(process.stdin)
            if process.stdout in ready:
                more = os.read(process.stdout.fileno(), _AT_ONCE)
                if not more:
                    break
                line += more
    return bytes(line)


def _written(pipe: IO[bytes], data: memoryview) -> int:
    """Bytes of ``data`` that ``pipe`` took; all where nobody reads it any more."""
    try:
        return os.write(pipe.fileno(), data)
    except BlockingIOError:
        return 0
    except OSError:
        return len(data)


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", str(Path(__file__).with_name("sandbox.py"))]
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    except OSError as error:
        raise GgmlError(
            NnErrno.RUNTIME_ERROR,
            f"the process that renders chat templates cannot be started: {error.strerror}",
        ) from None
    assert process.stdin
    os.set_blocking(process.stdin.fileno(), False)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin and process.stdout
    with suppress(OSError):
        process.stdin.close()
    process.stdout.close()
    process.kill()
    process.wait()


def _end_of(process: subprocess.Popen[bytes]) -> str:
    """Why ``process`` gave no answer."""
    code = process.wait()
    if code == -getattr(signal, "SIGXCPU", 0):
        from .sandbox import CPU_SECONDS  # with jinja2, which this process does without

        return f"it computed for more than {CPU_SECONDS} seconds"
    if code == -getattr(signal, "SIGKILL", 9):
        return f"it took more than {SECONDS:g} seconds, or was killed"
    return f"what renders it ended with {code}"
