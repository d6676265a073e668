"""How downloads are shown: a bar a file on a terminal, else a line now and then."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from ..models.sizes import size_text
from ..models.variants import File
from ..models.watch import Watcher

_PAUSE = 10.0  # seconds between two lines of a file


@contextmanager
def shown(console: Console) -> Iterator[Watcher]:
    """A watcher that shows on ``console`` what it is told."""
    try:
        if console.is_terminal:
            yield from _bars(console)
        else:
            yield _Lines(console)
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from here")
        raise


def _bars(console: Console) -> Iterator[Watcher]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bars(progress)


class _Bars(Watcher):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[File, TaskID] = {}

    def begins(self, files: Sequence[File]) -> None:
        for file in files:
            self._tasks[file] = self._progress.add_task(
                _short(file), total=file.size or None, start=False
            )

    def at(self, file: File, done: int) -> None:
        task = self._task(file)
        if not self._progress.tasks[task].started:
            self._progress.start_task(task)
        self._progress.update(task, completed=done)

    def waits(self, file: File, reason: str) -> None:
        self._progress.console.print(Text(f"{_short(file)}: {reason}", "yellow"))

    def has(self, file: File) -> None:
        self.at(file, file.size)

    def _task(self, file: File) -> TaskID:
        return next(task for each, task in self._tasks.items() if each.name == file.name)


class _Lines(Watcher):
    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun: dict[str, tuple[float, int]] = {}
        self._told = 0.0

    def at(self, file: File, done: int) -> None:
        now = time.monotonic()
        if file.name not in self._begun:
            self._begun[file.name] = now, done
            going_on = f", {size_text(done)} are here" if done else ""
            self._print(f"fetching {file.name}: {size_text(file.size)}{going_on}")
        elif now - self._told > _PAUSE:
            self._print(f"{file.name}: {self._state(file, done, now)}")

    def _state(self, file: File, done: int, now: float) -> str:
        begun, before = self._begun[file.name]
        speed = (done - before) / max(now - begun, 0.001)
        left = f", {(file.size - done) / speed:.0f} s left" if speed and file.size else ""
        share = f"{done / file.size:.0%} of " if file.size else ""
        of = size_text(file.size or done)
        return f"{share}{of}, {size_text(int(speed))}/s{left}"

    def waits(self, file: File, reason: str) -> None:
        self._print(f"{file.name}: {reason}")

    def has(self, file: File) -> None:
        if file.name in self._begun:
            self._print(f"{file.name} is here and checked")

    def _print(self, line: str) -> None:
        self._told = time.monotonic()
        self._console.print(line, markup=False)


def _short(file: File) -> str:
    return PurePosixPath(file.name).name
