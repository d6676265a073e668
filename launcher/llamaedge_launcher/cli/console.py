"""The terminal, as every command writes to it: without colours or bold where NO_COLOR is set."""

import os

from rich.console import Console


def stderr(*, soft_wrap: bool = False) -> Console:
    """Where everything goes that is for people; ``soft_wrap`` leaves long lines to the terminal."""
    return _console(stderr=True, soft_wrap=soft_wrap)


def stdout() -> Console:
    """Where what was asked for goes."""
    return _console(stderr=False, soft_wrap=False)


def _console(*, stderr: bool, soft_wrap: bool) -> Console:
    plain = bool(os.environ.get("NO_COLOR"))
    return Console(
        stderr=stderr,
        highlight=False,
        soft_wrap=soft_wrap,
        no_color=plain,
        color_system=None if plain else "auto",
    )
