"""A guest's socket: a host socket that never blocks, and what the guest believes of it."""

import errno
import os
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress

from ..preview1.flags import (
    RIGHT_FD_READ,
    RIGHT_FD_SET_FLAGS,
    RIGHT_FD_WRITE,
    RIGHT_POLL,
    RIGHT_SOCK_SHUTDOWN,
    RIGHTS_SOCK_RECV_TO_SEND_TO,
    RIGHTS_SOCK_SHUTDOWN_TO_BIND,
)
from .address import (
    HOST_FAMILIES,
    HOST_KINDS,
    UNSPECIFIED,
    Address,
    Family,
    HostAddress,
    Kind,
    from_host,
)

NOSIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
"""No SIGPIPE when the far end is gone; macOS has no such flag, and Python ignores the signal."""

_LINGER = struct.Struct("ii")
"""struct linger of the host: on or off, seconds."""

_RIGHTS_OF_STREAM = RIGHT_FD_READ | RIGHT_FD_SET_FLAGS | RIGHT_FD_WRITE | RIGHT_POLL

RIGHTS_OPENED = _RIGHTS_OF_STREAM | RIGHTS_SOCK_SHUTDOWN_TO_BIND | RIGHTS_SOCK_RECV_TO_SEND_TO
"""Rights of a socket from sock_open (WasmEdge's VINode::sockOpen)."""

RIGHTS_ACCEPTED = _RIGHTS_OF_STREAM | RIGHT_SOCK_SHUTDOWN | RIGHTS_SOCK_RECV_TO_SEND_TO
"""Rights of a socket from sock_accept (WasmEdge's VINode::sockAccept)."""


class Socket:
    """One open socket. Every operation answers at once, or raises BlockingIOError.

    ``nonblocking`` is what the guest asked for; ``receive_timeout`` and ``send_timeout`` are
    its SO_RCVTIMEO and SO_SNDTIMEO in seconds, ``lingers`` says that it has set SO_LINGER.
    Operations raise OSError.
    """

    __slots__ = (
        "family",
        "fd",
        "host",
        "inheriting",
        "kind",
        "lingers",
        "nonblocking",
        "receive_timeout",
        "rights",
        "send_timeout",
        "stream",
    )

    def __init__(self, host: socket.socket, family: Family, kind: Kind, rights: int) -> None:
        host.setblocking(False)
        self.host = host
        self.fd = host.fileno()
        self.family = family
        self.kind = kind
        self.stream = kind is Kind.STREAM
        self.rights = rights
        self.inheriting = rights
        self.nonblocking = False
        self.lingers = False
        self.receive_timeout: float | None = None
        self.send_timeout: float | None = None

    def inherit(self, listener: "Socket") -> None:
        """Take over what a connection has from its listener, as the host's socket does."""
        self.lingers = listener.lingers
        self.receive_timeout = listener.receive_timeout
        self.send_timeout = listener.send_timeout

    def bind(self, address: Address) -> None:
        """Bind to ``address``."""
        self.host.bind(self.fitting(address))

    def listen(self, backlog: int) -> None:
        """Listen with a queue of ``backlog`` connections."""
        self.host.listen(backlog)

    def accept(self) -> "Socket":
        """The next waiting connection."""
        host, _ = self.host.accept()
        return Socket(host, self.family, self.kind, RIGHTS_ACCEPTED)

    def connect(self, address: Address) -> None:
        """Begin to connect; BlockingIOError (EINPROGRESS) while it is under way."""
        self.host.connect(self.fitting(address))

    def send_to(self, data: Sequence[memoryview], address: Address) -> int:
        """Send one message of ``data`` to ``address``; bytes sent."""
        return self.host.sendmsg(data, (), NOSIGNAL, self.fitting(address))

    def local(self) -> Address:
        """The address it is bound to."""
        return from_host(self.family, self.host.getsockname())

    def peer(self) -> Address:
        """The address it is connected to."""
        return from_host(self.family, self.host.getpeername())

    def source(self, address: object) -> Address:
        """The sender of a message, from what the host's recvmsg says of it, if it does."""
        return from_host(self.family, address) if address else UNSPECIFIED

    def fitting(self, address: Address) -> HostAddress:
        """``address`` for the host, or OSError (EAFNOSUPPORT) for another family's."""
        if address.family is not self.family:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return address.to_host()

    def close(self) -> None:
        """Close the descriptor.

        The data still goes out, but nobody waits for it: a guest that lingers could not be
        stopped. A linger of no time, which resets the connection, does.
        """
        with suppress(OSError):
            if self.lingers:
                _, seconds = _LINGER.unpack(
                    self.host.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.size)
                )
                if seconds:
                    self.host.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.pack(0, 0))
            self.host.close()


def open_host(family: Family, kind: Kind) -> socket.socket:
    """A new host socket. Raises OSError."""
    return socket.socket(HOST_FAMILIES[family], HOST_KINDS[kind])
