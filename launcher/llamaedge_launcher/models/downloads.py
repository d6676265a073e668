"""Downloads that several may follow: one for each model, in a thread, for as long as one does."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ..errors import LauncherError
from .reference import HubModel
from .variants import File
from .watch import Watcher

if TYPE_CHECKING:
    from .store import Stored

_log = logging.getLogger(__name__)
_OFTEN = 0.2  # seconds between two looks at how many bytes have come
_WINDOW = 5.0  # seconds that a speed is the mean of

Pull = Callable[[HubModel, Watcher, Callable[[str], None]], "Stored"]
"""Brings a model here. Raises LauncherError, and what the watcher raises."""


@dataclass(frozen=True)
class Step:
    """How a download stands: of ``file``, ``completed`` of ``total`` bytes, at bytes a second.

    ``name`` is the model's once it is here; ``message`` what else there is to say.
    """

    status: Literal["resolving", "downloading", "checking", "done"] = "resolving"
    file: str = ""
    completed: int = 0
    total: int = 0
    speed: int = 0
    message: str = ""
    name: str = ""


class Downloads:
    """Fetches models by ``pull``."""

    def __init__(self, pull: Pull) -> None:
        self._pull = pull
        self._running: dict[str, _Download] = {}

    def fetching(self, repo: str) -> bool:
        """Whether a model of ``repo`` is being fetched."""
        return any(each.model.repo == repo for each in self._running.values())

    async def follow(self, model: HubModel) -> AsyncGenerator[Step, None]:
        """The steps of the download of ``model``, which starts unless it runs, to its end.

        When the last one who follows it leaves, it stops; what has come is kept for the next
        time. Raises LauncherError.
        """
        key = str(model)
        download = self._running.get(key)
        if download is None:
            download = self._running[key] = _Download(model, self._pull)
            download.start()
        download.followers += 1
        try:
            async for step in download.steps():
                yield step
        finally:
            download.followers -= 1
            if not download.followers and self._running.get(key) is download:
                del self._running[key]
                download.cancel()


class _Cancelled(Exception):
    """Nobody wants the download any more."""


class _Download(Watcher):
    """Tells from its thread, and is listened to in the event loop."""

    def __init__(self, model: HubModel, pull: Pull) -> None:
        self.model = model
        self.followers = 0
        self._pull = pull
        self._step = Step()
        self._error: LauncherError | None = None
        self._ended = self._cancelled = False
        self._speed = _Speed()
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def start(self) -> None:
        """Begin, in a thread that the program does not wait for when it ends."""
        threading.Thread(target=self._run, daemon=True).start()

    def cancel(self) -> None:
        """Stop with the next bytes."""
        self._cancelled = True

    async def steps(self) -> AsyncGenerator[Step, None]:
        """The steps from now on, the last one included. Raises LauncherError."""
        seen: Step | None = None
        while True:
            changed, ended = self._changed, self._ended
            if self._step is not seen:
                seen = self._step
                if self._error is None:
                    yield seen
            if ended:
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(_OFTEN):
                    await changed.wait()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            found = self._pull(self.model, self, self._say)
            self._step = Step("done", name=found.name, completed=found.size, total=found.size)
        except LauncherError as error:
            self._error = error
        except _Cancelled:
            _log.info("the download of %s is given up; what has come is kept", self.model)
            self._error = LauncherError("the download was given up")
        except Exception:
            _log.exception("a fault ended the download of %s", self.model)
            self._error = LauncherError("a fault ended the download; the log has the details")
        self._ended = True
        self._tell()

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _say(self, line: str) -> None:
        self._to(replace(self._step, message=line))

    def _to(self, step: Step) -> None:
        """The next step; who follows is woken unless it differs in bytes alone."""
        if self._cancelled:
            raise _Cancelled
        former, self._step = self._step, step
        if (former.status, former.file, former.message) != (step.status, step.file, step.message):
            self._tell()

    def begins(self, files: Sequence[File]) -> None:
        """As Watcher's."""
        self._to(replace(self._step, status="downloading", file=files[0].name))

    def at(self, file: File, done: int) -> None:
        """As Watcher's."""
        whole = 0 < file.size <= done
        speed = self._speed.at(file.name, done)
        self._to(Step("checking" if whole else "downloading", file.name, done, file.size, speed))

    def waits(self, file: File, reason: str) -> None:
        """As Watcher's."""
        self._to(replace(self._step, file=file.name, speed=0, message=reason))

    def has(self, file: File) -> None:
        """As Watcher's."""
        self._to(Step("checking", file.name, file.size, file.size))


class _Speed:
    """Bytes a second of the file that comes, over the last while."""

    def __init__(self) -> None:
        self._file = ""
        self._marks: deque[tuple[float, int]] = deque()

    def at(self, file: str, done: int) -> int:
        """The speed, now that ``done`` bytes of ``file`` are here."""
        now = time.monotonic()
        if file != self._file:
            self._file = file
            self._marks.clear()
        self._marks.append((now, done))
        while now - self._marks[0][0] > _WINDOW:
            self._marks.popleft()
        since, before = self._marks[0]
        return int((done - before) / (now - since)) if now > since else 0
