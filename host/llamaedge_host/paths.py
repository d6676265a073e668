"""Paths as people write them."""

from pathlib import Path


def expanded(text: str) -> Path:
    """The path ``text``, with a leading ``~`` or ``~user`` for a home folder.

    It stays as it is where there is no such home.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)
