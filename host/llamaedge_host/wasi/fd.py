"""The fd functions: a socket's are answered here, a file's by wasmtime.

Source: the witx of wasi_snapshot_preview1; WasmEdge's include/host/wasi/vinode.h for the
rights that each function needs, of which a socket has few.
"""

import struct
from collections.abc import Callable

from ..imports import HostFunction, Imports, WasmtimeCall
from ..memory import Memory
from ..preview1.errnos import MISALIGNED, Errno, from_os_error
from ..preview1.flags import (
    FDFLAG_NONBLOCK,
    FDFLAGS,
    FILETYPE_SOCKET_DGRAM,
    FILETYPE_SOCKET_STREAM,
    RIGHT_FD_READ,
    RIGHT_FD_SET_FLAGS,
    RIGHT_FD_WRITE,
)
from ..preview1.layouts import FILESTAT, MAX_VECTORS, VECTOR, vectors
from ..sockets.descriptors import FIRST, Descriptors
from ..sockets.transfer import TransferCalls
from .streams import STDIN, Streams

FDSTAT = struct.Struct("<BxH4xQQ")
"""fdstat: filetype u8, flags u16, rights u64, inheriting rights u64."""

_FLAGS_OFFSET = 2
_FLAGS_NEED_SYNC = 0b11010
"""dsync, rsync and sync need rights that no socket has."""

_NOT_CAPABLE = {
    "fd_advise": "iIIi",
    "fd_allocate": "iII",
    "fd_datasync": "i",
    "fd_filestat_set_size": "iI",
    "fd_filestat_set_times": "iIIi",
    "fd_pread": "iiiIi",
    "fd_pwrite": "iiiIi",
    "fd_readdir": "iiiIi",
    "fd_seek": "iIii",
    "fd_sync": "i",
    "fd_tell": "ii",
}
_MOVES = {"fd_pread", "fd_pwrite"}
_MOST_MOVED = 1 << 26
"""Bytes: wasmtime answers NOMEM to twice as many in one call."""

_NOT_PREOPENED = {"fd_prestat_get": "ii", "fd_prestat_dir_name": "iii"}


class FdCalls:
    """The fd functions over one guest's descriptors; ``files`` are those that it has opened."""

    def __init__(
        self,
        memory: Memory,
        forward: WasmtimeCall,
        descriptors: Descriptors,
        transfer: TransferCalls,
        streams: Streams,
        files: set[int],
    ) -> None:
        self._memory = memory
        self._forward = forward
        self._descriptors = descriptors
        self._sockets = descriptors.sockets
        self._transfer = transfer
        self._streams = streams
        self._files = files

    def imports(self) -> Imports:
        """Every fd function there is."""
        calls: Imports = {
            ("fd_close", "i"): self.close,
            ("fd_fdstat_get", "ii"): self.fdstat_get,
            ("fd_fdstat_set_flags", "ii"): self.fdstat_set_flags,
            ("fd_fdstat_set_rights", "iII"): self.fdstat_set_rights,
            ("fd_filestat_get", "ii"): self.filestat_get,
            ("fd_read", "iiii"): self.read,
            ("fd_renumber", "ii"): self.renumber,
            ("fd_write", "iiii"): self.write,
        }
        for name, params in _NOT_CAPABLE.items():
            way = self._move if name in _MOVES else self._file
            calls[name, params] = self._refusing(way, name, Errno.NOTCAPABLE)
        for name, params in _NOT_PREOPENED.items():
            calls[name, params] = self._refusing(self._file, name, Errno.BADF)
        return calls

    def _refusing(self, way: Callable[..., int], name: str, answer: Errno) -> HostFunction:
        """The file's function; ``answer`` for a socket."""
        sockets = self._sockets
        return lambda fd, *args: answer if fd in sockets else way(name, fd, *args)

    def _file(self, name: str, fd: int, *args: int) -> int:
        """wasmtime's ``name`` of a file; BADF above the files' numbers."""
        return self._forward(name, (fd, *args)) if fd < FIRST else Errno.BADF

    def _move(self, name: str, fd: int, iovs: int, count: int, *args: int) -> int:
        """wasmtime's ``name`` of a file: of the first buffer that is not empty, as it has it.

        ADDRNOTAVAIL: misaligned; INVAL: more than 1,024 buffers; BADF.
        """
        if iovs & 3:
            return MISALIGNED
        if count > MAX_VECTORS:
            return Errno.INVAL
        memory = self._memory
        sizes = range(iovs + 4, iovs + 4 + count * VECTOR.size, VECTOR.size)
        at = next((at for at in sizes if memory.u32(at)), 0)
        if not at or (size := memory.u32(at)) <= _MOST_MOVED:
            return self._file(name, fd, iovs, count, *args)
        memory.set_u32(at, _MOST_MOVED)
        answer = self._file(name, fd, at - 4, 1, *args)
        memory.set_u32(at, size)
        return answer

    def read(self, fd: int, iovs: int, count: int, nread: int) -> int:
        """``fd_read``: read from a socket or standard input; a file is wasmtime's.

        Parameters:
            fd: the descriptor; where it blocks, the call waits.
            iovs: the first of the buffers.
            count: of buffers.
            nread: where the bytes read are written, u32; 0 at the end.

        Result:
            ADDRNOTAVAIL: a misaligned pointer.
            INVAL: more than 1,024 buffers.
            BADF: ``fd`` is not open.
            NOTCAPABLE: a socket whose right to it was dropped.
            AGAIN: nothing yet, and ``fd`` is non-blocking.
            NOTCONN: a stream that is not connected.
            CONNRESET: the far end has broken the connection.

        Like readv(2). See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_read
        """
        guest = self._sockets.get(fd)
        if guest is None and not self._streams.reads(fd):
            return self._move("fd_read", fd, iovs, count, nread)
        if (iovs | nread) & 3:
            return MISALIGNED
        if count > MAX_VECTORS:
            return Errno.INVAL
        memory = self._memory
        buffers = vectors(memory, iovs, count)
        memory.view(nread, 4)
        try:
            if guest is None:
                received = self._streams.read(buffers)
            elif guest.rights & RIGHT_FD_READ:
                received = self._transfer.read(guest, buffers)
            else:
                return Errno.NOTCAPABLE
        except OSError as error:
            return from_os_error(error)
        memory.set_u32(nread, received)
        return Errno.SUCCESS

    def write(self, fd: int, iovs: int, count: int, nwritten: int) -> int:
        """``fd_write``: write to a socket or a standard stream; a file is wasmtime's.

        Parameters:
            fd: the descriptor; where it blocks, the call waits.
            iovs: the first of the buffers.
            count: of buffers.
            nwritten: where the bytes written are written, u32; all of them, if a stream blocks.

        Result:
            ADDRNOTAVAIL: a misaligned pointer.
            INVAL: more than 1,024 buffers.
            BADF: ``fd`` is not open.
            NOTCAPABLE: a socket whose right to it was dropped.
            AGAIN: no room, and ``fd`` is non-blocking.
            NOTCONN, PIPE: a stream that is not connected, or no longer.
            CONNRESET: the far end has broken the connection.
            MSGSIZE: a message that is too long.
            DESTADDRREQ: a datagram socket that is not connected.

        Like writev(2). See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_write
        """
        guest = self._sockets.get(fd)
        if guest is None and not self._streams.writes(fd):
            return self._move("fd_write", fd, iovs, count, nwritten)
        if (iovs | nwritten) & 3:
            return MISALIGNED
        if count > MAX_VECTORS:
            return Errno.INVAL
        memory = self._memory
        data = vectors(memory, iovs, count)
        memory.view(nwritten, 4)
        try:
            if guest is None:
                sent = self._streams.write(fd, data)
            elif guest.rights & RIGHT_FD_WRITE:
                sent = self._transfer.write(guest, data)
            else:
                return Errno.NOTCAPABLE
        except OSError as error:
            return from_os_error(error)
        memory.set_u32(nwritten, sent)
        return Errno.SUCCESS

    def close(self, fd: int) -> int:
        """``fd_close``: close a descriptor, whose number is free from then on.

        Parameters:
            fd: the descriptor.

        Result:
            BADF: ``fd`` is not open.

        Like close(2). See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_close
        """
        if fd in self._sockets:
            self._descriptors.remove(fd)
            if fd >= FIRST:
                return Errno.SUCCESS
        self._streams.forget(fd)
        self._files.discard(fd)
        return self._file("fd_close", fd)

    def renumber(self, fd: int, to: int) -> int:
        """``fd_renumber``: give a descriptor another's number, and close what had it.

        Parameters:
            fd: the descriptor, whose own number is free from then on.
            to: the number, which must be open.

        Result:
            BADF: either is not open.
            NOTSUP: a file in the place of a socket from 65536 on.

        Like dup2(2) and close(2). A file whose number a socket takes stays open until the socket is
        closed: wasmtime would give the number away.
        See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_renumber
        """
        if fd not in self._sockets:
            return self._renumber_file(fd, to)
        if to not in self._sockets and not self._descriptors.is_file(to):
            return Errno.BADF
        if fd != to:
            self._streams.forget(to)
            self._descriptors.renumber(fd, to)
            if fd < FIRST:
                self.close(fd)
        return Errno.SUCCESS

    def _renumber_file(self, fd: int, to: int) -> int:
        if to >= FIRST:
            both = self._descriptors.is_file(fd) and to in self._sockets
            return Errno.NOTSUP if both else Errno.BADF
        answer = self._file("fd_renumber", fd, to)
        if answer == 0 and fd != to:
            self._streams.forget(fd)
            self._streams.forget(to)
            if to in self._sockets:
                self._descriptors.remove(to)
            self._files.discard(to)
            if fd in self._files:
                self._files.remove(fd)
                self._files.add(to)
        return answer

    def fdstat_get(self, fd: int, stat: int) -> int:
        """``fd_fdstat_get``: a descriptor's file type, flags and rights.

        Parameters:
            fd: the descriptor.
            stat: where the fdstat is written, 24 bytes.

        Result:
            ADDRNOTAVAIL: ``stat`` is misaligned.
            BADF: ``fd`` is not open.

        See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_fdstat_get
        """
        guest = self._sockets.get(fd)
        if guest is None:
            answer = self._file("fd_fdstat_get", fd, stat)
            if fd == STDIN and answer == 0 and self._streams.nonblocking:
                self._memory.set_u16(stat + _FLAGS_OFFSET, FDFLAG_NONBLOCK)
            return answer
        if stat & 7:
            return MISALIGNED
        FDSTAT.pack_into(
            self._memory.up_to(stat + 24),
            stat,
            FILETYPE_SOCKET_STREAM if guest.stream else FILETYPE_SOCKET_DGRAM,
            FDFLAG_NONBLOCK if guest.nonblocking else 0,
            guest.rights,
            guest.inheriting,
        )
        return Errno.SUCCESS

    def fdstat_set_flags(self, fd: int, flags: int) -> int:
        """``fd_fdstat_set_flags``: make a descriptor non-blocking, or blocking again.

        Parameters:
            fd: the descriptor.
            flags: fdflags; a socket ignores APPEND.

        Result:
            INVAL: unknown flags.
            BADF: ``fd`` is not open.
            NOTCAPABLE: DSYNC, RSYNC or SYNC on a socket, or one whose right to it was dropped.

        Like fcntl(2) with F_SETFL. See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_fdstat_set_flags
        """
        guest = self._sockets.get(fd)
        if guest is None:
            if self._streams.reads(fd) and not flags & ~FDFLAG_NONBLOCK:
                self._streams.nonblocking = bool(flags)
                return Errno.SUCCESS
            return self._file("fd_fdstat_set_flags", fd, flags)
        if flags & ~FDFLAGS:
            return Errno.INVAL
        if flags & _FLAGS_NEED_SYNC or not guest.rights & RIGHT_FD_SET_FLAGS:
            return Errno.NOTCAPABLE
        guest.nonblocking = bool(flags & FDFLAG_NONBLOCK)
        return Errno.SUCCESS

    def fdstat_set_rights(self, fd: int, base: int, inheriting: int) -> int:
        """``fd_fdstat_set_rights``: drop rights.

        Parameters:
            fd: the descriptor.
            base: the rights that stay.
            inheriting: those that stay for what is opened through it.

        Result:
            BADF: ``fd`` is not open.
            NOTCAPABLE: a right that it has not.

        See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_fdstat_set_rights
        """
        guest = self._sockets.get(fd)
        if guest is None:
            return self._file("fd_fdstat_set_rights", fd, base, inheriting)
        if base & ~guest.rights or inheriting & ~guest.inheriting:
            return Errno.NOTCAPABLE
        guest.rights, guest.inheriting = base, inheriting
        return Errno.SUCCESS

    def filestat_get(self, fd: int, stat: int) -> int:
        """``fd_filestat_get``: a file's attributes; of a socket its type alone.

        Parameters:
            fd: the descriptor.
            stat: where the filestat is written, 64 bytes.

        Result:
            ADDRNOTAVAIL: ``stat`` is misaligned.
            BADF: ``fd`` is not open.

        Like fstat(2). See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_filestat_get
        """
        guest = self._sockets.get(fd)
        if guest is None:
            return self._file("fd_filestat_get", fd, stat)
        if stat & 7:
            return MISALIGNED
        filetype = FILETYPE_SOCKET_STREAM if guest.stream else FILETYPE_SOCKET_DGRAM
        self._memory.pack(FILESTAT, stat, 0, 0, filetype, 1, 0, 0, 0, 0)
        return Errno.SUCCESS
