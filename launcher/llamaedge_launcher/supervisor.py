"""Starts the worker process, follows what it reports, and starts it again when it ends."""

import asyncio
import logging
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path

from .control import Ended, Event, Failed, Listening, WorkerConfig, decode_event
from .errors import LauncherError
from .pool import Pool, Unavailable

_log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "llamaedge_launcher.worker")
_FIRST_DELAY = 0.5  # seconds before a worker is started again
_LONGEST_DELAY = 30.0
_STEADY = 60.0  # seconds of service after which the delay is the first again
_END = 0.5  # seconds a worker has to end by itself


class WorkerProcess:
    """A worker and our end of the socket to it, in a private folder that ends with it."""

    def __init__(self, config: WorkerConfig, command: Sequence[str] = COMMAND) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="llamaedge-"))
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), start_new_session=True)
        with suppress(OSError):
            self._socket.sendall(replace(config, folder=str(self._folder)).encode())
        self._socket.setblocking(False)

    async def events(self) -> AsyncGenerator[Event, None]:
        """What the worker reports, until it ends."""
        reader, writer = await asyncio.open_connection(sock=self._socket)
        try:
            while line := await reader.readline():
                yield decode_event(line)
        except ConnectionError:
            return
        finally:
            writer.close()

    async def end(self) -> str:
        """End the worker, remove its folder, and say how it ended."""
        self._socket.close()
        deadline = time.monotonic() + _END
        while self._process.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        return self.kill()

    def kill(self) -> str:
        """As end(), without waiting for what the worker still does."""
        self._socket.close()
        self._process.kill()
        code = self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


class Supervisor:
    """Keeps one worker running and the pool in step with its guests.

    ``on_ready`` is called when the first guest listens. ``worker`` may have been started
    before; ``start`` starts the later ones.
    """

    def __init__(
        self,
        worker: WorkerProcess,
        start: Callable[[], WorkerProcess],
        pool: Pool,
        on_ready: Callable[[], None],
    ) -> None:
        self._worker = worker
        self._start = start
        self._pool = pool
        self._on_ready: Callable[[], None] | None = on_ready
        self._ready_at: float | None = None
        self._delay = _FIRST_DELAY
        self._loading = True

    def state(self) -> str:
        """ready, loading or unavailable, as /health says it."""
        if self._pool.ready:
            return "ready"
        return "loading" if self._loading else "unavailable"

    async def run(self) -> None:
        """Follow workers until cancelled.

        Raises LauncherError if the first one fails before a guest listens; later ones are
        started again, each after twice the delay of the one before.
        """
        try:
            while True:
                failed = await self._follow()
                delay = self._next_delay()
                self._loading = False
                how = failed.message if failed else "the worker process ended"
                retry = int(delay) + 1
                self._pool.close(Unavailable(f"{how}; it is started again", retry_after=retry))
                ended = await self._worker.end()
                if not failed:
                    how = f"{how} {ended}"
                if self._on_ready is not None:
                    raise LauncherError(how, exit_code=failed.exit_code if failed else 1)
                _log.error("%s; starting the worker again in %.1f s", how, delay)
                await asyncio.sleep(delay)
                self._loading = True
                self._pool.close(Unavailable("the models are being loaded"))
                self._worker = self._start()
        finally:
            self._pool.close(Unavailable("the server is stopping"))
            await self._worker.end()

    async def _follow(self) -> Failed | None:
        """Until the worker ends or fails; tells which."""
        async with aclosing(self._worker.events()) as events:
            async for event in events:
                match event:
                    case Listening(path):
                        self._listening(path)
                    case Ended(path, message):
                        _log.warning("%s; starting another", message)
                        reason = Unavailable(f"{message}; another one is being started")
                        self._pool.remove(path, reason)
                    case Failed():
                        return event
        return None

    def _listening(self, path: str) -> None:
        self._pool.add(path)
        if self._ready_at is None:
            self._ready_at = time.monotonic()
        if self._on_ready is not None:
            self._on_ready()
            self._on_ready = None
        else:
            _log.info("a guest is ready")

    def _next_delay(self) -> float:
        now = time.monotonic()
        if self._ready_at is not None and now - self._ready_at > _STEADY:
            self._delay = _FIRST_DELAY
        delay, self._delay = self._delay, min(2 * self._delay, _LONGEST_DELAY)
        self._ready_at = None
        return delay
