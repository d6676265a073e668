"""poll_oneoff and epoll_oneoff.

Source: the witx of wasi_snapshot_preview1; WasmEdge's Poller in lib/host/wasi/inode-linux.cpp.
"""

import fcntl
import select
import socket
import struct
import sys
import termios
import time

from ..imports import Imports, WasmtimeCall
from ..memory import Memory
from ..preview1.errnos import MISALIGNED, Errno
from ..preview1.layouts import U32
from ..sockets.descriptors import FIRST, Descriptors
from ..waker import Waker
from .streams import STDIN, Streams

_SUBSCRIPTION = struct.Struct("<QB7xI4xQQH6x")
"""userdata, tag u8, clock id or descriptor u32, timeout and precision (ns), clock flags u16."""

_UNSTABLE_SIZE = 56
"""wasi_unstable's subscription: a clock has an identifier u64 before its clock id."""

_TAG = 8
"""The tag's place in a subscription."""

_EVENT = struct.Struct("<QHB5xQH6x")
"""userdata, errno u16, type u8, bytes u64, flags u16."""

_U64 = struct.Struct("<Q")
_INT = bytes(4)

_CLOCK = 0
_FD_READ = 1
_FD_WRITE = 2
_REALTIME = 0
_MONOTONIC = 1
_ABSOLUTE = 1
_HANGUP = 1

_MOST_SUBSCRIPTIONS = 16384
_MILLISECOND = 1_000_000
_BOTH = select.POLLIN | select.POLLOUT
_BROKEN = select.POLLERR | select.POLLHUP | select.POLLNVAL
_READABLE = select.POLLIN | _BROKEN
_WRITABLE = select.POLLOUT | _BROKEN

_Event = tuple[int, int, int, int, int]
"""The values of an event, as _EVENT has them."""


class _Interest:
    """The host descriptors that one poll waits for, and the userdata of each by kind."""

    def __init__(self, poller: select.poll) -> None:
        self.poller = poller
        self.readers: dict[int, int] = {}
        self.writers: dict[int, tuple[int, socket.socket | None]] = {}

    def read(self, host: int, userdata: int) -> bool:
        """Wait until ``host`` can be read; False if that is waited for already."""
        if host in self.readers:
            return False
        self.readers[host] = userdata
        self.poller.register(host, _BOTH if host in self.writers else select.POLLIN)
        return True

    def write(self, host: int, userdata: int, guest: socket.socket | None) -> bool:
        """Wait until ``host`` can be written; False if that is waited for already."""
        if host in self.writers:
            return False
        self.writers[host] = userdata, guest
        self.poller.register(host, _BOTH if host in self.readers else select.POLLOUT)
        return True

    def events(self, ready: list[tuple[int, int]]) -> list[_Event]:
        """The events for what poll(2) answers: host descriptors and what they are ready for."""
        found: list[_Event] = []
        for host, answer in ready:
            errno = Errno.BADF if answer & select.POLLNVAL else 0
            flags = _HANGUP if answer & select.POLLHUP else 0
            if answer & _READABLE and host in self.readers:
                found.append((self.readers[host], errno, _FD_READ, _waiting(host), flags))
            if answer & _WRITABLE and host in self.writers:
                userdata, guest = self.writers[host]
                found.append((userdata, errno, _FD_WRITE, _room(host, guest), flags))
        return found


class PollCalls:
    """Both functions over one guest's descriptors."""

    def __init__(
        self,
        memory: Memory,
        forward: WasmtimeCall,
        descriptors: Descriptors,
        streams: Streams,
        waker: Waker,
    ) -> None:
        self._memory = memory
        self._forward = forward
        self._descriptors = descriptors
        self._sockets = descriptors.sockets
        self._streams = streams
        self._waker = waker
        self._last_asked = b""
        self._last_version = -1
        self._last = _Interest(waker.poller())

    def imports(self) -> Imports:
        """Both names, one function: WasmEdge arms an edge anew at each call, as a level is."""
        return {("poll_oneoff", "iiii"): self.poll, ("epoll_oneoff", "iiii"): self.poll}

    def poll(self, subscriptions: int, events: int, count: int, nevents: int) -> int:
        """``poll_oneoff``: wait for the first of several events.

        Parameters:
            subscriptions: what to wait for, 48 bytes each.
            events: where one event is written for each subscription that is due, 32 bytes each.
            count: of subscriptions.
            nevents: where the number of events is written, u32.

        Result:
            ADDRNOTAVAIL: a misaligned pointer.
            INVAL: no subscription, or more than 16,384.

        An event has an errno of its own:
            BADF: its descriptor is not open.
            EXIST: a second subscription of one kind to one descriptor.
            INVAL: an unknown type, clock or flag.

        Of a socket that can be read, nbytes is what waits, or 1; of one that can be written, the
        room in its send buffer; HANGUP is 1. Files and standard output are always ready.
        Like poll(2). See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#poll_oneoff
        """
        return self._poll(subscriptions, events, count, nevents, _SUBSCRIPTION.size)

    def poll_unstable(self, subscriptions: int, events: int, count: int, nevents: int) -> int:
        """``poll_oneoff`` of wasi_unstable, whose subscriptions are longer.

        Parameters:
            subscriptions: what to wait for, 56 bytes each: a clock has an identifier first.
            events: as poll's.
            count: of subscriptions.
            nevents: as poll's.

        Result: as poll's.
        See https://github.com/WebAssembly/WASI/blob/main/legacy/preview0/docs.md#poll_oneoff
        """
        return self._poll(subscriptions, events, count, nevents, _UNSTABLE_SIZE)

    def _poll(self, subscriptions: int, events: int, count: int, nevents: int, size: int) -> int:
        if (subscriptions | events) & 7 or nevents & 3:
            return MISALIGNED
        if not 0 < count <= _MOST_SUBSCRIPTIONS:
            return Errno.INVAL
        end = subscriptions + count * size
        view = self._memory.up_to(max(end, events + count * _EVENT.size, nevents + 4))
        asked = bytes(view[subscriptions:end])
        if size == _UNSTABLE_SIZE:
            asked = _as_preview1(asked)
        if asked == self._last_asked and self._descriptors.version == self._last_version:
            due = self._last.events(self._waker.poll(self._last.poller, None))
        else:
            due = self._first(asked, events)
        for event in due:
            _EVENT.pack_into(view, events, *event)
            events += _EVENT.size
        U32.pack_into(view, nevents, len(due))
        return Errno.SUCCESS

    def _first(self, asked: bytes, scratch: int) -> list[_Event]:
        """Wait for the first of ``asked``; all that are due then."""
        due: list[_Event] = []
        timers: list[tuple[int, int]] = []
        if asked[_TAG] == _CLOCK:  # where Go puts its timeout
            self._add_clock(asked[: _SUBSCRIPTION.size], timers, due, scratch)
            asked = asked[_SUBSCRIPTION.size :]
        elif asked[_TAG - _SUBSCRIPTION.size] == _CLOCK:  # where libc's poll puts it
            self._add_clock(asked[-_SUBSCRIPTION.size :], timers, due, scratch)
            asked = asked[: -_SUBSCRIPTION.size]
        if asked == self._last_asked and self._descriptors.version == self._last_version:
            interest = self._last
        else:
            interest = self._prepare(asked, timers, due, scratch)
        return self._wait(interest, timers, due)

    def _prepare(
        self, asked: bytes, timers: list[tuple[int, int]], due: list[_Event], scratch: int
    ) -> _Interest:
        """The interest of all subscriptions; remembered if they are of sockets alone."""
        interest = _Interest(self._waker.poller())
        sockets = self._sockets
        cacheable = True
        for offset, (userdata, kind, fd, *_) in enumerate(_SUBSCRIPTION.iter_unpack(asked)):
            guest = sockets.get(fd)
            if guest is not None and kind == _FD_READ and interest.read(guest.fd, userdata):
                continue
            if (
                guest is not None
                and kind == _FD_WRITE
                and interest.write(guest.fd, userdata, guest.host)
            ):
                continue
            cacheable = False
            if kind == _CLOCK:
                start = offset * _SUBSCRIPTION.size
                record = asked[start : start + _SUBSCRIPTION.size]
                self._add_clock(record, timers, due, scratch)
            elif kind not in (_FD_READ, _FD_WRITE):
                due.append((userdata, Errno.INVAL, kind, 0, 0))
            elif guest is not None:
                due.append((userdata, Errno.EXIST, kind, 0, 0))
            else:
                self._add_stream(interest, userdata, kind, fd, due, scratch)
        if cacheable:
            self._last_asked, self._last = asked, interest
            self._last_version = self._descriptors.version
        return interest

    def _add_clock(
        self, record: bytes, timers: list[tuple[int, int]], due: list[_Event], scratch: int
    ) -> None:
        userdata, _, clock, timeout, _, flags = _SUBSCRIPTION.unpack(record)
        if clock not in (_REALTIME, _MONOTONIC) or flags & ~_ABSOLUTE:
            due.append((userdata, Errno.INVAL, _CLOCK, 0, 0))
            return
        if flags & _ABSOLUTE:
            self._forward("clock_time_get", (clock, 1, scratch))
            (now,) = self._memory.unpack(_U64, scratch)
            timeout -= now
        timers.append((time.monotonic_ns() + timeout, userdata))

    def _add_stream(
        self,
        interest: _Interest,
        userdata: int,
        kind: int,
        fd: int,
        due: list[_Event],
        scratch: int,
    ) -> None:
        host = self._streams.host(fd) if (kind == _FD_READ) == (fd == STDIN) else None
        if host is not None:
            if not (
                interest.read(host, userdata)
                if kind == _FD_READ
                else interest.write(host, userdata, None)
            ):
                due.append((userdata, Errno.EXIST, kind, 0, 0))
        elif fd >= FIRST:
            due.append((userdata, Errno.BADF, kind, 0, 0))
        else:
            errno = self._forward("fd_fdstat_get", (fd, scratch))
            due.append((userdata, errno, kind, 0 if errno else 1, 0))

    def _wait(
        self, interest: _Interest, timers: list[tuple[int, int]], due: list[_Event]
    ) -> list[_Event]:
        deadline = min(timers)[0] if timers else None
        while True:
            wait = left = None
            if due:
                wait = 0
            elif deadline is not None:
                left = max(deadline - time.monotonic_ns(), 0)
                wait = -(-left // _MILLISECOND) if left > _MILLISECOND else 0
            due += interest.events(self._waker.poll(interest.poller, wait))
            if left and not wait and not due:
                time.sleep(left / 1e9)  # poll(2) would take a millisecond for the least pause
            if deadline is not None and (now := time.monotonic_ns()) >= deadline:
                due += [(userdata, 0, _CLOCK, 0, 0) for at, userdata in timers if at <= now]
            if due:
                return due


def _as_preview1(asked: bytes) -> bytes:
    """wasi_unstable's subscriptions without the clocks' identifiers."""
    records = (
        asked[start : start + _UNSTABLE_SIZE] for start in range(0, len(asked), _UNSTABLE_SIZE)
    )
    return b"".join(
        record[:16] + (record[24:56] if record[8] == _CLOCK else record[16:48])
        for record in records
    )


def _waiting(host: int) -> int:
    """Bytes that can be read; 1 where the host does not say."""
    return _ioctl(host, termios.FIONREAD) or 1


def _room(host: int, guest: socket.socket | None) -> int:
    """Bytes that can be written; 1 where the host does not say."""
    if guest is None:
        return 1
    size = guest.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    return max(size - _ioctl(host, termios.TIOCOUTQ), 1)


def _ioctl(host: int, request: int) -> int:
    try:
        return int.from_bytes(fcntl.ioctl(host, request, _INT), sys.byteorder)
    except OSError:
        return 0
