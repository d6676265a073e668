"""API keys: where they come from, and that nobody reads secrets off the list of processes."""

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from setproctitle import setproctitle

from .storage import urls
from .variables import API_KEY

_OPTION = "--api-key"
_HIDDEN = "***"


def check(key: str) -> str:
    """The key. Raises ValueError, which does not tell it."""
    if not key.isascii() or not key.isprintable() or " " in key or not key:
        raise ValueError("a key is one or more printable ASCII characters without spaces")
    return key


def read(path: Path) -> list[str]:
    """The keys in a file, one a line. Raises ValueError and OSError."""
    try:
        lines = path.read_text("ascii").splitlines()
    except UnicodeDecodeError:
        lines = ["\0"]
    keys = [check(line.strip()) for line in lines if line.strip()]
    if not keys:
        raise ValueError("it holds no key; write one a line")
    return keys


def suggestion() -> str:
    """A key that nobody has."""
    return secrets.token_urlsafe(24)


def hide(arguments: Sequence[str] = sys.orig_argv) -> None:
    """Show this process without secrets, and without its environment, from now on.

    Call it before the environment is changed: it is overwritten where the process got it.
    """
    setproctitle(" ".join(_hidden(arguments)))


def _hidden(arguments: Sequence[str]) -> list[str]:
    shown = []
    before = ""
    for each in arguments:
        name, equals, _ = each.partition("=")
        if before == _OPTION:
            each = _HIDDEN
        elif before in urls.OPTIONS:
            each = urls.shown(each)
        elif equals and name in urls.OPTIONS:
            each = f"{name}={urls.shown(each.removeprefix(f'{name}='))}"
        elif equals and name in (_OPTION, API_KEY):
            each = f"{name}={_HIDDEN}"
        elif each.startswith(f"--env={API_KEY}="):
            each = f"--env={API_KEY}={_HIDDEN}"
        shown.append(each)
        before = each
    return shown
