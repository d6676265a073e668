"""The files that a guest may name to the host: those in its own directories, with few exceptions.

Source: WasmEdge's lib/host/wasi/vfs_io.cpp, which opens them through the guest's WASI.
"""

import errno
import os
import posixpath
import stat
from collections.abc import Iterable
from copy import copy
from pathlib import Path
from typing import Self

from .preopen import Preopen


class Files:
    """Reads and writes files by the paths that a guest has for them. Raises OSError.

    No symbolic link is followed below a directory, so nothing outside of it is reached.
    ``named`` are the words of the host's command line; each, and what follows a ``=`` in it, may
    be a path that ``host_path`` lets a guest repeat.
    """

    def __init__(self, dirs: Iterable[Preopen] = (), *, named: Iterable[str] = ()) -> None:
        self._dirs = [(_absolute(each.guest), each) for each in dirs]
        self._named = {path for word in named for path in (word, word.partition("=")[2]) if path}

    def naming(self, paths: Iterable[str]) -> Self:
        """These files, with ``paths`` named too."""
        files = copy(self)
        files._named = {*self._named, *paths}
        return files

    def host_path(self, path: str) -> Path:
        """The host's path of the regular file ``path``, for what can only open by path.

        A path that the command line names is the host's own; any other is the guest's.
        """
        if path in self._named:
            return Path(path)
        os.close(self._open(path, os.O_RDONLY))
        found, names = self._locate(path)
        return found.host.joinpath(*names)

    def read(self, path: str, limit: int) -> bytes:
        """The first ``limit`` bytes of the regular file ``path``."""
        with os.fdopen(self._open(path, os.O_RDONLY), "rb") as file:
            return file.read(limit)

    def write(self, path: str, data: bytes | bytearray) -> None:
        """Make ``data`` the content of the regular file ``path``, new or not."""
        with os.fdopen(self._open(path, os.O_WRONLY | os.O_CREAT), "wb") as file:
            file.truncate()
            file.write(data)

    def _open(self, path: str, flags: int) -> int:
        found, names = self._locate(path)
        if found.readonly and flags & os.O_WRONLY:
            raise PermissionError(errno.EROFS, os.strerror(errno.EROFS), path)
        folder = os.open(found.host, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in names[:-1]:
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = inner
            flags |= os.O_NOFOLLOW | os.O_NONBLOCK
            file = os.open(names[-1], flags, 0o666, dir_fd=folder)
        finally:
            os.close(folder)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError(errno.EINVAL, "it is no regular file", path)
        return file

    def _locate(self, path: str) -> tuple[Preopen, list[str]]:
        """The directory that ``path`` lies in, the innermost of several, and the way in it."""
        absolute = _absolute(path)
        within = [
            (len(guest), each, posixpath.relpath(absolute, guest))
            for guest, each in self._dirs
            if posixpath.commonpath([guest, absolute]) == guest and absolute != guest
        ]
        if not within:
            raise PermissionError(errno.EACCES, "it is in no directory of the guest", path)
        _, found, way = max(within, key=lambda each: each[0])
        return found, way.split("/")


def _absolute(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


NO_FILES = Files()
"""Those of a guest without directories."""
