"""Starts the worker process, follows what it reports, and starts it again when it ends."""

import asyncio
import logging
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import early
from .asking import Inquiries
from .control import (
    ALIVE,
    LAST_WORDS,
    LONGEST_LINE,
    STATISTICS,
    Answered,
    Ended,
    Event,
    Failed,
    Listening,
    Question,
    Sized,
    Statistics,
    WorkerConfig,
    decode_event,
)
from .errors import LauncherError
from .health import Engines, Figures, Health
from .pool import Pool, Unavailable

_log = logging.getLogger(__name__)

_FIRST_DELAY = 0.5  # seconds before a worker is started again
_LONGEST_DELAY = 30.0
_STEADY = 60.0  # seconds of service after which the delay is the first again
_ASK = 2.0  # seconds a worker has to tell its numbers
_END = 0.5  # seconds a worker has to end by itself
_KILLED = 5.0  # seconds that the system may take to end one


class WorkerProcess:
    """A worker and our end of the socket to it, in a private folder that ends with it.

    Raises LauncherError, and leaves nothing behind, where the system lacks what it takes.
    """

    def __init__(self, config: WorkerConfig, command: Sequence[str] = early.COMMAND) -> None:
        with ExitStack() as undo:
            try:
                self._folder = Path(tempfile.mkdtemp(prefix="llamaedge-"))
                undo.callback(shutil.rmtree, self._folder, ignore_errors=True)
                self._socket, self._process = early.take(command)
            except OSError as error:
                raise LauncherError(f"the worker cannot be started: {error}") from error
            undo.pop_all()
        self.hang_timeout = config.hang_timeout
        self._last_words = LAST_WORDS if config.cache_dir else 0.0
        with suppress(OSError):
            self._socket.sendall(replace(config, folder=str(self._folder)).encode())
        self._socket.setblocking(False)
        self._writer: asyncio.StreamWriter | None = None

    async def events(self) -> AsyncGenerator[Event, None]:
        """What the worker reports, until it ends."""
        reader, writer = await asyncio.open_connection(sock=self._socket, limit=LONGEST_LINE)
        self._writer = writer
        try:
            while line := await reader.readline():
                yield decode_event(line)
        except (ConnectionError, ValueError):  # what it says is no event
            return
        finally:
            self._writer = None
            writer.close()

    def ask_statistics(self) -> bool:
        """Have the worker report a Statistics event; False if it is not there."""
        return self._write(STATISTICS)

    def ask(self, question: Question) -> bool:
        """Have the worker report an Answered event; False if it is not there."""
        return self._write(question.encode())

    def _write(self, line: bytes) -> bool:
        if self._writer is None or self._writer.is_closing():
            return False
        self._writer.write(line)
        return True

    async def end(self) -> str:
        """End the worker, remove its folder, and say how it ended."""
        self._socket.close()
        if not await self._ends(_END + self._last_words):
            self._process.kill()
            await self._ends(_KILLED)
        return self._ended()

    def kill(self) -> None:
        """As end(), without waiting for what the worker still does."""
        self._socket.close()
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILLED)
        self._ended()

    async def _ends(self, seconds: float) -> bool:
        """Whether the worker ends within ``seconds``."""
        deadline = time.monotonic() + seconds
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.005)
        return True

    def _ended(self) -> str:
        shutil.rmtree(self._folder, ignore_errors=True)
        code = self._process.returncode
        if code is None:
            return "not even by SIGKILL: the system holds it"
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
        self._on_sized: Callable[[Sized], None] | None = None
        self.sized: Sized | None = None
        """What the worker's models take, once it has told."""
        self._ready_at: float | None = None
        self._delay = _FIRST_DELAY
        self._problem: str | None = None
        self._guest_restarts = 0
        self._worker_restarts = 0
        self._asking: asyncio.Future[Statistics] | None = None
        self._silent = 0.0
        self._inquiries = Inquiries(lambda question: self._worker.ask(question))

    async def ask(self, about: str, given: Mapping[str, Any]) -> Any:
        """What the worker answers, JSON values, as Inquiries' ask()."""
        return await self._inquiries.ask(about, given)

    def health(self) -> Health:
        """What /health says."""
        ready = self._pool.ready
        status = "ready" if ready else "unavailable" if self._problem else "loading"
        return Health(status, ready, None if ready else self._problem)

    async def figures(self) -> Figures:
        """What /metrics says; waits for the worker's part, but not long."""
        engines = await self._engines()
        return Figures(
            requests_processing=self._pool.running,
            requests_deferred=self._pool.waiting,
            guests=self._pool.ready,
            guest_restarts=self._guest_restarts,
            worker_restarts=self._worker_restarts,
            engines=engines,
        )

    async def _engines(self) -> Engines:
        if self._asking is None:
            if not self._worker.ask_statistics():
                return {}
            self._asking = asyncio.get_running_loop().create_future()
        try:
            return (await asyncio.wait_for(asyncio.shield(self._asking), _ASK)).engines
        except TimeoutError:
            self._asking = None
            return {}

    async def run(self, on_sized: Callable[[Sized], None] | None = None) -> None:
        """Follow workers until cancelled.

        ``on_sized`` is called when the first one has told what its models take. Raises
        LauncherError if it fails before a guest listens; later ones are started again, each
        after twice the delay of the one before, for as long as it takes.
        """
        self._on_sized = on_sized
        try:
            while True:
                failed = await self._follow()
                how = failed.message if failed else "the worker process ended"
                self._refuse(how, self._delay)
                self._inquiries.give_up(Unavailable(f"{how}; it is started again"))
                ended = await self._worker.end()
                if not failed:
                    how = f"{how} {ended}"
                if self._on_ready is not None:
                    raise LauncherError(how, exit_code=failed.exit_code if failed else 1)
                self._worker = await self._start_again(how)
        finally:
            stopping = Unavailable("the server is stopping")
            self._pool.close(stopping)
            self._inquiries.give_up(stopping)
            await self._worker.end()

    async def _start_again(self, how: str) -> WorkerProcess:
        """A new worker after a pause, and after a longer one when it cannot be started."""
        while True:
            delay = self._next_delay()
            self._refuse(how, delay)
            _log.error("%s; starting the worker again in %.1f s", how, delay)
            await asyncio.sleep(delay)
            self._pool.drop(Unavailable("the models are being loaded"))
            try:
                started = self._start()
                self._worker_restarts += 1
                return started
            except LauncherError as error:
                how = str(error)

    def _refuse(self, how: str, delay: float) -> None:
        """Answer requests with what happened, until a guest listens again.

        Those that wait go on waiting for the worker that comes next, but not for a later one.
        """
        self._problem = f"{how}; it is started again"
        reason = Unavailable(self._problem, retry_after=int(delay) + 1)
        if delay == _FIRST_DELAY:
            self._pool.drop(reason)
        else:
            self._pool.close(reason)

    async def _follow(self) -> Failed | None:
        """Until the worker ends, fails or hangs; tells which."""
        self._silent = 0.0
        listening = asyncio.create_task(self._listen())
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait((listening, watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (listening, watching):
                each.cancel()
            await asyncio.wait((listening, watching))
        return watching.result() if listening.cancelled() else listening.result()

    async def _watch(self) -> Failed:
        """Until nothing has been heard of the worker for too long.

        The time is counted in steps, since this process may itself be stopped for a while.
        """
        limit = self._worker.hang_timeout
        while self._silent < limit:
            await asyncio.sleep(ALIVE)
            self._silent += ALIVE
        return Failed(f"the worker process hung for {limit:g} s")

    async def _listen(self) -> Failed | None:
        async with aclosing(self._worker.events()) as events:
            async for event in events:
                self._silent = 0.0
                match event:
                    case Listening(path):
                        self._listening(path)
                    case Sized():
                        self._take_sizes(event)
                    case Ended(path, message, cut):
                        self._ended(path, message, cut=cut)
                    case Statistics():
                        if self._asking is not None:
                            self._asking.set_result(event)
                            self._asking = None
                    case Answered():
                        self._inquiries.take(event)
                    case Failed():
                        return event
        return None

    def _ended(self, path: str | None, message: str, *, cut: bool) -> None:
        _log.warning("%s; starting another", message)
        self._guest_restarts += 1
        self._problem = f"{message}; another one is being started"
        if path is not None:
            self._pool.remove(path, Unavailable(self._problem), cut=cut)
        elif not self._pool.ready:
            self._pool.close(Unavailable(self._problem))

    def _take_sizes(self, sized: Sized) -> None:
        self.sized = sized
        if self._on_sized is not None:
            self._on_sized(sized)
            self._on_sized = None

    def _listening(self, path: str) -> None:
        self._pool.add(path)
        self._problem = None
        if self._ready_at is None:
            self._ready_at = time.monotonic()
        if self._on_ready is not None:
            self._on_ready()
            self._on_ready = None
        else:
            again = self._guest_restarts or self._worker_restarts
            _log.log(logging.INFO if again else logging.DEBUG, "a guest is ready")

    def _next_delay(self) -> float:
        now = time.monotonic()
        if self._ready_at is not None and now - self._ready_at > _STEADY:
            self._delay = _FIRST_DELAY
        delay, self._delay = self._delay, min(2 * self._delay, _LONGEST_DELAY)
        self._ready_at = None
        return delay
