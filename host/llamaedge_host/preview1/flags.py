"""Flags, rights and file types of WASI preview 1.

Source: the witx of wasi_snapshot_preview1; WasmEdge's thirdparty/wasi/api.hpp for the rights of
its sockets.
"""

FDFLAG_NONBLOCK = 1 << 2

FDFLAGS = 0b11111
"""All there are: append, dsync, nonblock, rsync, sync."""

RIGHT_FD_READ = 1 << 1
RIGHT_FD_SET_FLAGS = 1 << 3
RIGHT_FD_WRITE = 1 << 6
RIGHT_POLL = 1 << 27
RIGHT_SOCK_SHUTDOWN = 1 << 28
RIGHTS_SOCK_SHUTDOWN_TO_BIND = 0b1111 << 28
RIGHTS_SOCK_RECV_TO_SEND_TO = 0b1111 << 32

FILETYPE_UNKNOWN = 0
"""What wasmtime says of a named pipe."""

FILETYPE_SOCKET_DGRAM = 5
FILETYPE_SOCKET_STREAM = 6
