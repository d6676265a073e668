"""The path functions: wasmtime's, but for what it would not survive or cannot know.

Source: the witx of wasi_snapshot_preview1; WasmEdge's lib/host/wasi/vinode.cpp for the rights
that each function needs.
"""

from ..imports import HostFunction, Imports, WasmtimeCall
from ..memory import Memory
from ..preview1.errnos import MISALIGNED, Errno
from ..preview1.flags import FILETYPE_UNKNOWN
from ..preview1.layouts import FILESTAT, FILETYPE_OFFSET
from ..sockets.descriptors import Descriptors

_DIRECTORIES = {
    ("path_create_directory", "iii"): (0,),
    ("path_filestat_get", "iiiii"): (0,),
    ("path_filestat_set_times", "iiiiIIi"): (0,),
    ("path_link", "iiiiiii"): (0, 4),
    ("path_open", "iiiiiIIii"): (0,),
    ("path_readlink", "iiiiii"): (0,),
    ("path_remove_directory", "iii"): (0,),
    ("path_rename", "iiiiii"): (0, 3),
    ("path_symlink", "iiiii"): (2,),
    ("path_unlink_file", "iii"): (0,),
}
"""Every function, and which of its parameters are directories."""


class PathCalls:
    """The path functions over one guest's descriptors.

    ``files`` are the descriptors that it has opened, ``max_files`` of them at most.
    """

    def __init__(
        self,
        memory: Memory,
        forward: WasmtimeCall,
        descriptors: Descriptors,
        files: set[int],
        max_files: int,
    ) -> None:
        self._memory = memory
        self._forward = forward
        self._sockets = descriptors.sockets
        self._files = files
        self._max_files = max_files

    def imports(self) -> Imports:
        """Every path function there is."""
        own = {"path_open": self.open, "path_filestat_set_times": self.filestat_set_times}
        return {
            (name, params): self._refusing(own.get(name) or self._forwarding(name), directories)
            for (name, params), directories in _DIRECTORIES.items()
        }

    def _refusing(self, call: HostFunction, directories: tuple[int, ...]) -> HostFunction:
        """``call``; NOTCAPABLE for a socket in the place of a directory, as it has no such right.

        Without this a socket that took a directory's number would still lead into it.
        """
        sockets = self._sockets

        def guarded(*args: int) -> int | None:
            if any(args[each] in sockets for each in directories):
                return Errno.NOTCAPABLE
            return call(*args)

        return guarded

    def _forwarding(self, name: str) -> HostFunction:
        return lambda *args: self._forward(name, args)

    def open(self, *args: int) -> int:
        """``path_open``: open a file or a directory.

        Parameters:
            args: dirfd, lookupflags, path, path_len, oflags, rights, inheriting, fdflags, and where
                the descriptor is written, u32.

        Result: as wasmtime's, and
            ADDRNOTAVAIL: the last pointer is misaligned; wasmtime would open the file first.
            MFILE: too many files.
            NOTSUP: a named pipe.
            NOTCAPABLE: ``dirfd`` is a socket.

        Like openat(2). See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#path_open
        """
        new_fd = args[-1]
        if new_fd & 3:
            return MISALIGNED
        self._memory.view(new_fd, 4)
        if len(self._files) >= self._max_files:
            return Errno.MFILE
        if self._is_pipe(args[:4]):
            return Errno.NOTSUP
        answer = self._forward("path_open", args)
        if answer == 0:
            self._files.add(self._memory.u32(new_fd))
        return answer

    def filestat_set_times(self, *args: int) -> int:
        """``path_filestat_set_times``: set the times of a file.

        Parameters:
            args: dirfd, lookupflags, path, path_len, atim, mtim, fst_flags.

        Result: as wasmtime's, and
            NOTSUP: a named pipe, which wasmtime would open.
            NOTCAPABLE: ``dirfd`` is a socket.

        Like utimensat(2). See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#path_filestat_set_times
        """
        if self._is_pipe(args[:4]):
            return Errno.NOTSUP
        return self._forward("path_filestat_set_times", args)

    def _is_pipe(self, where: tuple[int, ...]) -> bool:
        """Whether ``dirfd, lookupflags, *path, path_len`` is a named pipe.

        To open one waits for its other end, where no stop reaches the guest.
        """
        kept = self._memory.read(0, FILESTAT.size)
        answer = self._forward("path_filestat_get", (*where, 0))
        filetype = self._memory.read(FILETYPE_OFFSET, 1)[0]
        self._memory.write(0, kept)
        return answer == 0 and filetype == FILETYPE_UNKNOWN
