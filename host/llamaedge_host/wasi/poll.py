"""poll_oneoff and epoll_oneoff.

Source: the witx of wasi_snapshot_preview1; WasmEdge's Poller in lib/host/wasi/inode-linux.cpp.
"""

import fcntl
import math
import select
import socket
import struct
import termios
import time
from typing import NamedTuple

from ..errno import Errno
from ..memory import Memory
from ..sockets.descriptors import FIRST, Descriptors, Waker
from ..sockets.edge import MISALIGNED, Imports
from .fd import Forward
from .stdin import DESCRIPTOR as STDIN
from .stdin import Stdin

_SUBSCRIPTION = struct.Struct("<QB7xI4xQQH6x")
"""userdata, tag u8, clock id or descriptor u32, timeout and precision (ns), clock flags u16."""

_SUBSCRIPTION_UNSTABLE = struct.Struct("<QB7xI12xQQH6x")
"""wasi_unstable's: a clock has an identifier u64 first, which takes the descriptor's place."""

_UNSTABLE_CLOCK_ID = struct.Struct("<24xI")

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
_READABLE = select.POLLIN | _BROKEN
_WRITABLE = select.POLLOUT | _BROKEN
_INTEREST = {_FD_READ: select.POLLIN, _FD_WRITE: select.POLLOUT}
_READY = {_FD_READ: _READABLE, _FD_WRITE: _WRITABLE}


class _Event(NamedTuple):
    userdata: int
    errno: int
    kind: int
    nbytes: int = 0
    flags: int = 0


class _Waiting:
    """What one poll waits for: host descriptors, and times on the host's monotonic clock (ns)."""

    def __init__(self) -> None:
        self.events: list[_Event] = []
        self.timers: list[tuple[int, int]] = []
        self.interest: dict[int, dict[int, int]] = {}
        self.sockets: dict[int, socket.socket] = {}

    def watch(self, host: int, kind: int, userdata: int) -> None:
        """Wait for ``kind`` on the host descriptor; a second time is an EXIST event."""
        kinds = self.interest.setdefault(host, {})
        if kind in kinds:
            self.events.append(_Event(userdata, Errno.EXIST, kind))
        else:
            kinds[kind] = userdata

    def milliseconds(self) -> float | None:
        """How long to wait at most; None for ever."""
        if self.events:
            return 0
        if not self.timers:
            return None
        first = min(deadline for deadline, _ in self.timers)
        return max(0, math.ceil((first - time.monotonic_ns()) / 1_000_000))

    def expired(self) -> list[_Event]:
        """An event for every timer whose time has come."""
        now = time.monotonic_ns()
        return [
            _Event(userdata, Errno.SUCCESS, _CLOCK)
            for deadline, userdata in self.timers
            if deadline <= now
        ]


class PollCalls:
    """Both functions over one guest's descriptors."""

    def __init__(
        self,
        memory: Memory,
        forward: Forward,
        descriptors: Descriptors,
        stdin: Stdin,
        waker: Waker,
    ) -> None:
        self._memory = memory
        self._forward = forward
        self._sockets = descriptors.sockets
        self._stdin = stdin
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
        return self._poll(subscriptions, events, count, nevents, _SUBSCRIPTION)

    def poll_unstable(self, subscriptions: int, events: int, count: int, nevents: int) -> int:
        """wasi_unstable's poll_oneoff: as poll, with its longer subscriptions."""
        return self._poll(subscriptions, events, count, nevents, _SUBSCRIPTION_UNSTABLE)

    def _poll(
        self, subscriptions: int, events: int, count: int, nevents: int, layout: struct.Struct
    ) -> int:
        if (subscriptions | events) & 7 or nevents & 3:
            return MISALIGNED
        if not 0 < count <= _MOST_SUBSCRIPTIONS:
            return Errno.INVAL
        memory = self._memory
        asked = memory.read(subscriptions, count * layout.size)
        memory.view(events, count * _EVENT.size)
        memory.view(nevents, 4)
        waiting = _Waiting()
        for offset in range(0, len(asked), layout.size):
            userdata, kind, number, timeout, _, flags = layout.unpack_from(asked, offset)
            if kind == _CLOCK:
                if layout is _SUBSCRIPTION_UNSTABLE:
                    (number,) = _UNSTABLE_CLOCK_ID.unpack_from(asked, offset)
                self._add_clock(waiting, userdata, number, timeout, flags, events)
            elif kind in (_FD_READ, _FD_WRITE):
                self._add_descriptor(waiting, userdata, kind, number, events)
            else:
                waiting.events.append(_Event(userdata, Errno.INVAL, kind))
        due = self._wait(waiting)
        for index, event in enumerate(due):
            memory.pack(_EVENT, events + index * _EVENT.size, *event)
        memory.set_u32(nevents, len(due))
        return Errno.SUCCESS

    def _add_clock(
        self, waiting: _Waiting, userdata: int, clock: int, timeout: int, flags: int, scratch: int
    ) -> None:
        if clock not in (_REALTIME, _MONOTONIC) or flags & ~_ABSOLUTE:
            waiting.events.append(_Event(userdata, Errno.INVAL, _CLOCK))
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
        elif fd == STDIN and kind == _FD_READ and self._stdin.fd is not None:
            waiting.watch(self._stdin.fd, kind, userdata)
        elif fd >= FIRST:
            waiting.events.append(_Event(userdata, Errno.BADF, kind))
        else:
            answer = self._forward("fd_fdstat_get", (fd, scratch))
            waiting.events.append(_Event(userdata, answer, kind, 0 if answer else 1))

    def _wait(self, waiting: _Waiting) -> list[_Event]:
        poller = select.poll()
        for host, kinds in waiting.interest.items():
            poller.register(host, sum(_INTEREST[kind] for kind in kinds))
        while True:
            ready = self._waker.poll(poller, waiting.milliseconds())
            due = waiting.events + waiting.expired()
            for host, answer in ready:
                due += _events(host, answer, waiting)
            if due:
                return due


def _events(host: int, answer: int, waiting: _Waiting) -> list[_Event]:
    kinds = waiting.interest[host]
    if answer & select.POLLNVAL:
        return [_Event(userdata, Errno.BADF, kind) for kind, userdata in kinds.items()]
    flags = _HANGUP if answer & select.POLLHUP else 0
    return [
        _Event(userdata, Errno.SUCCESS, kind, _size(host, kind, waiting), flags)
        for kind, userdata in kinds.items()
        if answer & _READY[kind]
    ]


def _size(host: int, kind: int, waiting: _Waiting) -> int:
    """Bytes that can be read, or written; 1 where the host does not say."""
    if kind == _FD_READ:
        return _ioctl(host, termios.FIONREAD) or 1
    room = waiting.sockets[host].getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    return max(room - _ioctl(host, termios.TIOCOUTQ), 1)


def _ioctl(host: int, request: int) -> int:
    try:
        (value,) = _INT.unpack(fcntl.ioctl(host, request, bytes(_INT.size)))
    except OSError:
        return 0
    return int(value)
