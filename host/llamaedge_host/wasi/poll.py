"""poll_oneoff and epoll_oneoff.

Source: the witx of wasi_snapshot_preview1; WasmEdge's Poller in lib/host/wasi/inode-linux.cpp.
"""

import fcntl
import select
import socket
import struct
import termios
import time

from ..errno import Errno
from ..memory import Memory
from ..sockets.descriptors import FIRST, Descriptors, Waker
from ..sockets.edge import MISALIGNED, Imports
from .fd import Forward
from .streams import STDIN, Streams

_SUBSCRIPTION = struct.Struct("<QB7xI4xQQH6x")
"""userdata, tag u8, clock id or descriptor u32, timeout and precision (ns), clock flags u16."""

_UNSTABLE_SIZE = 56
"""wasi_unstable's subscription: a clock has an identifier u64 before its clock id."""

_EVENT = struct.Struct("<QHB5xQH6x")
"""userdata, errno u16, type u8, bytes u64, flags u16."""

_U64 = struct.Struct("<Q")
_INT = struct.Struct("<i")

_CLOCK = 0
_FD_READ = 1
_FD_WRITE = 2
_REALTIME = 0
_MONOTONIC = 1
_ABSOLUTE = 1
_HANGUP = 1

_MOST_SUBSCRIPTIONS = 16384
_BROKEN = select.POLLERR | select.POLLHUP
_WAIT_FOR = {_FD_READ: select.POLLIN, _FD_WRITE: select.POLLOUT}
_READY = {_FD_READ: select.POLLIN | _BROKEN, _FD_WRITE: select.POLLOUT | _BROKEN}

_Event = tuple[int, int, int, int, int]
"""The values of an event, as _EVENT has them."""


class _Waiting:
    """What one poll waits for, and the events that are due already.

    ``timers`` are times on the host's monotonic clock (ns) with their userdata; ``interest``
    has the userdata of each kind by host descriptor, ``sockets`` the sockets among those.
    """

    def __init__(self) -> None:
        self.due: list[_Event] = []
        self.timers: list[tuple[int, int]] = []
        self.interest: dict[int, dict[int, int]] = {}
        self.sockets: dict[int, socket.socket] = {}
        self.poller = select.poll()

    def watch(self, host: int, kind: int, userdata: int) -> None:
        """Wait for ``kind`` on the host descriptor; a second time is an EXIST event."""
        kinds = self.interest.get(host)
        if kinds is None:
            self.interest[host] = {kind: userdata}
            self.poller.register(host, _WAIT_FOR[kind])
        elif kind in kinds:
            self.due.append((userdata, Errno.EXIST, kind, 0, 0))
        else:
            kinds[kind] = userdata
            self.poller.register(host, select.POLLIN | select.POLLOUT)

    def milliseconds(self) -> float | None:
        """How long to wait at most; None for ever."""
        if self.due:
            return 0
        if not self.timers:
            return None
        first, _ = min(self.timers)
        return max(0, -((time.monotonic_ns() - first) // 1_000_000))

    def expire(self) -> None:
        """An event for every timer whose time has come."""
        if self.timers:
            now = time.monotonic_ns()
            self.due += [
                (userdata, 0, _CLOCK, 0, 0) for deadline, userdata in self.timers if deadline <= now
            ]

    def answer(self, host: int, answer: int) -> None:
        """The events for what poll(2) says of a host descriptor."""
        flags = _HANGUP if answer & select.POLLHUP else 0
        for kind, userdata in self.interest[host].items():
            if answer & select.POLLNVAL:
                self.due.append((userdata, Errno.BADF, kind, 0, 0))
            elif answer & _READY[kind]:
                self.due.append((userdata, 0, kind, self._bytes(host, kind), flags))

    def _bytes(self, host: int, kind: int) -> int:
        """Bytes that can be read, or written; 1 where the host does not say."""
        if kind == _FD_READ:
            return _ioctl(host, termios.FIONREAD) or 1
        guest = self.sockets.get(host)
        if guest is None:
            return 1
        room = guest.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        return max(room - _ioctl(host, termios.TIOCOUTQ), 1)


class PollCalls:
    """Both functions over one guest's descriptors."""

    def __init__(
        self,
        memory: Memory,
        forward: Forward,
        descriptors: Descriptors,
        streams: Streams,
        waker: Waker,
    ) -> None:
        self._memory = memory
        self._forward = forward
        self._sockets = descriptors.sockets
        self._streams = streams
        self._waker = waker

    def imports(self) -> Imports:
        """Both names, one function: WasmEdge arms an edge anew at each call, as a level is."""
        return {("poll_oneoff", "iiii"): self.poll, ("epoll_oneoff", "iiii"): self.poll}

    def poll(self, subscriptions: int, events: int, count: int, nevents: int) -> int:
        """``*subscriptions, *events, nsubscriptions, *nevents``: wait for the first of them.

        One event for each subscription that is due. Of a socket that can be read, ``nbytes`` is
        what waits, or 1; of one that can be written, the room in its send buffer; HANGUP is 1. An
        event's errno: BADF; EXIST: a second subscription of one kind to one descriptor; INVAL:
        an unknown type, clock or flag. Files and standard output are always ready.

        ADDRNOTAVAIL: misaligned; INVAL: no subscription, or more than 16,384.
        """
        if _misplaced(subscriptions, events, nevents):
            return MISALIGNED
        if not 0 < count <= _MOST_SUBSCRIPTIONS:
            return Errno.INVAL
        asked = self._memory.read(subscriptions, count * _SUBSCRIPTION.size)
        return self._poll(asked, events, count, nevents)

    def poll_unstable(self, subscriptions: int, events: int, count: int, nevents: int) -> int:
        """wasi_unstable's poll_oneoff: as poll, with its longer subscriptions."""
        if _misplaced(subscriptions, events, nevents):
            return MISALIGNED
        if not 0 < count <= _MOST_SUBSCRIPTIONS:
            return Errno.INVAL
        asked = self._memory.read(subscriptions, count * _UNSTABLE_SIZE)
        return self._poll(_as_preview1(asked), events, count, nevents)

    def _poll(self, asked: bytes, events: int, count: int, nevents: int) -> int:
        memory = self._memory
        memory.view(events, count * _EVENT.size)
        memory.view(nevents, 4)
        waiting = _Waiting()
        for userdata, kind, number, timeout, _, flags in _SUBSCRIPTION.iter_unpack(asked):
            if kind == _CLOCK:
                self._add_clock(waiting, userdata, number, timeout, flags, events)
            elif kind in _WAIT_FOR:
                self._add_descriptor(waiting, userdata, kind, number, events)
            else:
                waiting.due.append((userdata, Errno.INVAL, kind, 0, 0))
        self._wait(waiting)
        memory.write(events, b"".join(_EVENT.pack(*event) for event in waiting.due))
        memory.set_u32(nevents, len(waiting.due))
        return Errno.SUCCESS

    def _add_clock(
        self, waiting: _Waiting, userdata: int, clock: int, timeout: int, flags: int, scratch: int
    ) -> None:
        if clock not in (_REALTIME, _MONOTONIC) or flags & ~_ABSOLUTE:
            waiting.due.append((userdata, Errno.INVAL, _CLOCK, 0, 0))
            return
        if flags & _ABSOLUTE:
            self._forward("clock_time_get", (clock, 1, scratch))
            (now,) = self._memory.unpack(_U64, scratch)
            timeout -= now
        waiting.timers.append((time.monotonic_ns() + timeout, userdata))

    def _add_descriptor(
        self, waiting: _Waiting, userdata: int, kind: int, fd: int, scratch: int
    ) -> None:
        guest = self._sockets.get(fd)
        if guest is not None:
            host = guest.host.fileno()
            waiting.sockets[host] = guest.host
            waiting.watch(host, kind, userdata)
        elif (kind == _FD_READ) == (fd == STDIN) and (own := self._streams.host(fd)) is not None:
            waiting.watch(own, kind, userdata)
        elif fd >= FIRST:
            waiting.due.append((userdata, Errno.BADF, kind, 0, 0))
        else:
            errno = self._forward("fd_fdstat_get", (fd, scratch))
            waiting.due.append((userdata, errno, kind, 0 if errno else 1, 0))

    def _wait(self, waiting: _Waiting) -> None:
        while True:
            for host, answer in self._waker.poll(waiting.poller, waiting.milliseconds()):
                waiting.answer(host, answer)
            waiting.expire()
            if waiting.due:
                return


def _misplaced(subscriptions: int, events: int, nevents: int) -> bool:
    return bool((subscriptions | events) & 7 or nevents & 3)


def _as_preview1(asked: bytes) -> bytes:
    """wasi_unstable's subscriptions without the clocks' identifiers."""
    records = (
        asked[start : start + _UNSTABLE_SIZE] for start in range(0, len(asked), _UNSTABLE_SIZE)
    )
    return b"".join(
        record[:16] + (record[24:56] if record[8] == _CLOCK else record[16:48])
        for record in records
    )


def _ioctl(host: int, request: int) -> int:
    try:
        (value,) = _INT.unpack(fcntl.ioctl(host, request, bytes(_INT.size)))
    except OSError:
        return 0
    return int(value)
