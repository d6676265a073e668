"""A server that a Python program starts and stops: ``llamaedge run`` as a child process."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from .errors import LauncherError

_GRACE = 10.0  # seconds to end by itself
_LAST = 4096  # bytes of what it wrote


class Server:
    """Serves ``model`` (see ``llamaedge run``; None is the demo model) until it is stopped.

    ``options`` are further ones of ``llamaedge run``. It listens on a free port of 127.0.0.1
    unless they say otherwise. It ends with this process, however that ends.

    As a context manager it is ready within the block::

        with Server("model.gguf", "--ctx-size", "4096") as server:
            client = OpenAI(base_url=server.base_url, api_key="none")
    """

    def __init__(self, model: str | os.PathLike[str] | None = None, *options: str) -> None:
        named = [] if model is None else [os.fspath(model)]
        places = ("--port", "--socket-addr")
        placed = any(option.partition("=")[0] in places for option in options)
        address = [] if placed else ["--port", "0"]
        self._arguments = ["--log-level", "warning", *address, *options, *named]
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._output: IO[bytes] | None = None
        self._url = ""

    @property
    def base_url(self) -> str:
        """The API's address, such as ``http://127.0.0.1:8080/v1``; "" until it is ready."""
        return self._url

    def start(self) -> Self:
        """Start it, unless it runs. It is not ready yet: a model may have to be fetched."""
        if self._process is not None:
            return self
        self._socket, theirs = socket.socketpair()
        self._output = _unnamed()
        with theirs:
            descriptor = theirs.fileno()
            command = [sys.executable, "-P", "-m", __package__, "run", *self._arguments]
            self._process = subprocess.Popen(
                [*command, "--parent-fd", str(descriptor)],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=(descriptor,),
                start_new_session=True,
            )
        return self

    def wait(self, timeout: float | None = None) -> str:
        """Wait until it is ready, at most ``timeout`` seconds, and answer ``base_url``.

        Raises LauncherError, with what it said last, if it ends, and TimeoutError.
        """
        if self._socket is None:
            raise LauncherError("the server was not started")
        self._socket.settimeout(timeout)
        while not self._url:
            try:
                line = self._socket.recv(_LAST)
            except TimeoutError:
                raise TimeoutError(f"the server is not ready after {timeout:g} s") from None
            if not line:
                raise self._failure()
            self._url = line.decode().strip()
        return self._url

    def stop(self) -> None:
        """Stop it, and wait until it has ended. It may be started again."""
        if self._process is None or self._socket is None or self._output is None:
            return
        self._socket.close()
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._process = self._socket = self._output = None
        self._url = ""

    def _failure(self) -> LauncherError:
        assert self._process is not None
        assert self._output is not None
        code = self._process.wait()
        end = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(end - _LAST, 0))
        lines = self._output.read().decode(errors="replace").splitlines()
        self.stop()
        last = next((line for line in reversed(lines) if line.startswith("error: ")), "")
        said = last.removeprefix("error: ") or f"the server ended with exit code {code}"
        return LauncherError(said, exit_code=code if code > 0 else 1)

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _unnamed() -> IO[bytes]:
    """A file that goes when it is closed."""
    descriptor, name = tempfile.mkstemp()
    Path(name).unlink()
    return os.fdopen(descriptor, "w+b")
