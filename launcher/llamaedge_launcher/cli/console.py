"""The terminal, as every command writes to it: without colours or bold where NO_COLOR is set."""

import os

from rich.console import Console


def stderr() -> Console:
    """Where everything goes that is for people."""
    return _console(stderr=True)


def stdout() -> Console:
    """Where what was asked for goes."""
    return _console(stderr=False)


def _console(*, stderr: bool) -> Console:
    plain = bool(os.environ.get("NO_COLOR"))
    return Console(
        stderr=stderr,
        highlight=False,
        soft_wrap=False,
        no_color=plain,
        color_system=None if plain else "auto",
    )
