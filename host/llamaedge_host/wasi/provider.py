"""The WASI imports that are answered here rather than by wasmtime."""

from collections.abc import Sequence
from pathlib import Path

from ..imports import HostFunction, Imports, Provider, WasmtimeCall
from ..memory import Memory
from ..preview1.errnos import Errno
from ..sockets.addrinfo import AddrinfoCalls
from ..sockets.calls import SocketCalls
from ..sockets.descriptors import Descriptors
from ..sockets.endpoints import EndpointCalls
from ..sockets.network import Network
from ..sockets.options import OptionCalls
from ..sockets.transfer import TransferCalls
from ..waker import Waker
from . import log
from .arguments import ArgumentCalls
from .fd import FdCalls
from .path import PathCalls
from .poll import PollCalls
from .streams import Output, Streams, open_file

MODULE = "wasi_snapshot_preview1"
UNSTABLE = "wasi_unstable"

_SAME_IN_UNSTABLE = {
    "clock_res_get": "ii",
    "clock_time_get": "iIi",
    "random_get": "ii",
    "sched_yield": "",
}
"""wasmtime's functions that wasi_unstable has too, with the same meaning."""

_OTHER_IN_UNSTABLE = ("fd_filestat_get", "fd_seek", "path_filestat_get", "poll_oneoff")
"""A shorter filestat, whence in another order, longer subscriptions."""

_WHENCE = {0: 1, 1: 2, 2: 0}
"""wasi_unstable's whence (current, end, set) as preview 1's (set, current, end)."""


class Wasi(Provider):
    """Arguments, sockets, polling, and the fd functions that sockets share with files.

    ``forward`` calls wasmtime's own function in the guest's memory. ``arguments`` begin with
    argv[0], ``environment`` has entries like NAME=VALUE. At most ``max_sockets``
    are open at once, and as many files. ``stdin`` is the file behind the guest's standard input,
    ``stdout`` and ``stderr`` take what it writes; None is this process's own.

    Raises HostError if ``stdin`` cannot be opened.
    """

    fault = Errno.FAULT

    def __init__(
        self,
        memory: Memory,
        forward: WasmtimeCall,
        network: Network,
        *,
        arguments: Sequence[bytes] = (),
        environment: Sequence[bytes] = (),
        max_sockets: int = 1024,
        stdin: Path | None = None,
        stdout: Output | None = None,
        stderr: Output | None = None,
    ) -> None:
        file = None if stdin is None else open_file(stdin)
        self._forward = forward
        self._network = network
        self._descriptors = Descriptors(
            max_sockets, is_file=lambda fd: forward("fd_renumber", (fd, fd)) == Errno.SUCCESS
        )
        self._waker = Waker()
        self._streams = streams = Streams(file, stdout, stderr, self._waker)
        transfer = TransferCalls(memory, self._descriptors, self._waker)
        poll = PollCalls(memory, forward, self._descriptors, streams, self._waker)
        files: set[int] = set()
        calls: Imports = {}
        for group in (
            SocketCalls(memory, self._descriptors, network, self._waker),
            EndpointCalls(memory, self._descriptors),
            transfer,
            OptionCalls(memory, self._descriptors),
            AddrinfoCalls(memory, network, self._waker),
            ArgumentCalls(memory, arguments, environment),
            FdCalls(memory, forward, self._descriptors, transfer, streams, files),
            PathCalls(memory, forward, self._descriptors, files, max_sockets),
            poll,
        ):
            calls |= group.imports()
        self._modules = {
            MODULE: calls,
            UNSTABLE: self._unstable(calls) | {("poll_oneoff", "iiii"): poll.poll_unstable},
            log.MODULE: log.LogCalls(memory, streams).imports(),
        }

    def resolve(self, module: str, name: str, params: str, results: str) -> HostFunction | None:
        """The function for this import's name and type; None leaves it to others."""
        if results != ("" if module == log.MODULE else "i"):
            return None
        return self._modules.get(module, {}).get((name, params))

    @property
    def waiting(self) -> bool:
        """Whether a call waits for a socket, a stream or a time."""
        return self._waker.waiting

    def interrupt(self) -> None:
        """Wake a blocked call; it and every later one that would block raises Interrupted."""
        self._waker.interrupt()

    def close(self) -> None:
        """Close every socket."""
        self._streams.close()
        self._descriptors.close()
        self._network.close()
        self._waker.close()

    def _unstable(self, calls: Imports) -> Imports:
        same = {key: call for key, call in calls.items() if key[0] not in _OTHER_IN_UNSTABLE}
        for name, params in _SAME_IN_UNSTABLE.items():
            same[name, params] = self._forwarder(name)
        seek = calls["fd_seek", "iIii"]
        same["fd_seek", "iIii"] = lambda fd, offset, whence, to: (
            seek(fd, offset, _WHENCE[whence], to) if whence in _WHENCE else Errno.INVAL
        )
        return same

    def _forwarder(self, name: str) -> HostFunction:
        return lambda *args: self._forward(name, args)
