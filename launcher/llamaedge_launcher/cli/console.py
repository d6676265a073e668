"""The terminal, as every command writes to it: without colours or bold where NO_COLOR is set."""

import os
from contextlib import suppress
from typing import Any

from rich.console import Console

from .. import log


def stderr(*, soft_wrap: bool = False) -> Console:
    """Where everything goes that is for people; ``soft_wrap`` leaves long lines to the terminal.

    Where the log is JSON, that is the log.
    """
    return _console(_Lasting, stderr=True, soft_wrap=soft_wrap)


def stdout() -> Console:
    """Where what was asked for goes."""
    return _console(Console, stderr=False, soft_wrap=False)


class _Lasting(Console):
    """One that goes on where nobody reads it or the disk is full."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's, without its OSError."""
        with suppress(OSError):
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Stay, where rich leaves the program."""


def _console(kind: type[Console], *, stderr: bool, soft_wrap: bool) -> Console:
    plain = bool(os.environ.get("NO_COLOR"))
    lines: Any = log.Lines("llamaedge") if stderr and log.is_json() else None
    return kind(
        stderr=stderr,
        file=lines,
        highlight=False,
        soft_wrap=soft_wrap,
        no_color=plain,
        color_system=None if plain else "auto",
    )
