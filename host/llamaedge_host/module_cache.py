"""The folder of compiled modules: private, bounded, shared by all processes of a user.

Compiled code is native code: loading it means running it unsandboxed. So the folder is one that
nobody else can write. A file is written aside and renamed, never changed in place, because
running guests map it; removed, it stays theirs until they end.
"""

import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import platformdirs

from .whole_file import PREFIX, write_whole

_log = logging.getLogger(__name__)

MOST_BYTES = 256 * 2**20
"""Of all files together; what was used last stays."""

ABANDONED = 3600
"""Seconds after which a file that is still being written is a killed process's."""


class ModuleCache:
    """Compiled modules by key in ``folder``, the least recently used of which give way."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def find(self, key: str) -> Path | None:
        """The file of ``key``, which counts as used now; another process may remove it yet."""
        path = self._folder / key
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError as error:  # a read-only cache serves too
            _log.debug("%s cannot be marked as used: %s", path, error)
        return path

    def store(self, key: str, code: bytes | bytearray) -> None:
        """Keep ``code``, and make room for it; what fails is logged, and nothing is kept."""
        try:
            write_whole(self._folder / key, code)
        except OSError as error:
            _log.warning("the compiled module is not cached: %s", error)
        self._prune(key)

    def _prune(self, newest: str) -> None:
        left = self._most_bytes
        files = sorted(self._files(), key=lambda each: (each[0].name != newest, -each[1].st_mtime))
        for path, status in files:
            if path.name.startswith(PREFIX):
                gone = time.time() - status.st_mtime > ABANDONED
            else:
                left -= status.st_size
                gone = left < 0 and path.name != newest
            if gone:
                with suppress(OSError):
                    path.unlink()

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self._folder.iterdir():
            with suppress(OSError):  # another process may have removed it
                yield path, path.stat()


def user_folder() -> Path:
    """This user's, whether it is there or not.

    ``LLAMAEDGE_CACHE_DIR`` names another folder than the one in the user's cache folder.
    """
    root = os.environ.get("LLAMAEDGE_CACHE_DIR") or platformdirs.user_cache_path("llamaedge")
    return Path(root) / "modules"


def is_private(folder: Path) -> bool:
    """Whether nobody else can write to ``folder``. Raises OSError if it is not there."""
    status = folder.stat()
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def user_cache() -> ModuleCache | None:
    """This user's, or None if its folder cannot be trusted or made."""
    folder = user_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = is_private(folder)
    except OSError as error:
        _warn_once(f"no cache of compiled modules: {error}")
        return None
    if not private:
        _warn_once(f"no cache of compiled modules: others can write to {folder}")
        return None
    return ModuleCache(folder)


@cache
def _warn_once(message: str) -> None:
    """A guest loads several modules."""
    _log.warning("%s", message)
