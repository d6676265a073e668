"""Pictures of this machine that requests name by file:// URLs: those below one folder."""

import os
import stat
from pathlib import Path
from urllib.parse import unquote

from .fetch import MOST_BYTES, FetchError

SCHEME = "file"
_START = "file://"


class LocalFiles:
    """The files below ``folder``, to which file:// URLs are relative, as llama.cpp's server has it.

    What links lead out of it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def read(self, url: str) -> bytes:
        """The file at ``url``. Raises FetchError."""
        name = unquote(url[len(_START) :]) if url.lower().startswith(_START) else ""
        parts = [part for part in name.split("/") if part]
        if not parts or "\0" in name or {".", ".."} & set(parts):
            raise FetchError("the URL names no file below the folder of --media-path")
        shown = "/".join(parts)
        try:
            path = Path(os.path.realpath(self._folder.joinpath(*parts), strict=True))
            with open(_opened(path, self._folder), "rb") as file:
                data = file.read(MOST_BYTES + 1)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no file's name"
            raise FetchError(f"{shown} below --media-path cannot be read: {reason}") from error
        if len(data) > MOST_BYTES:
            raise FetchError(f"{shown} has more than {MOST_BYTES >> 20} MiB")
        return data


def _opened(path: Path, folder: Path) -> int:
    """A descriptor of a plain file within ``folder``, which is not waited for. Raises OSError."""
    if not path.is_relative_to(folder):
        raise FileNotFoundError(2, os.strerror(2))
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is no plain file")
    return descriptor
