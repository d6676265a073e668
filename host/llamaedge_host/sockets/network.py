"""What a guest's sockets reach: the seam, and the host's own network."""

import errno
import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .address import Address, Family, Kind
from .socket import RIGHTS_ACCEPTED, RIGHTS_OPENED, Socket, open_host


class Query(NamedTuple):
    """What getaddrinfo is asked, in the host's own constants."""

    node: bytes | None
    service: bytes | None
    family: int
    kind: int
    protocol: int
    flags: int


class Found(NamedTuple):
    """One answer of getaddrinfo, in the host's own constants."""

    family: int
    kind: int
    protocol: int
    canonical_name: str
    address: tuple[object, ...]


class Network(Protocol):
    """Makes the sockets of one guest."""

    def open(self, family: Family, kind: Kind) -> Socket:
        """A new socket. Raises OSError: ENOSYS for a family that the guest may not use."""

    def resolve(self, query: Query) -> list[Found]:
        """Look names up. Raises OSError, which may be socket.gaierror."""

    def close(self) -> None:
        """Free what the network itself holds; the guest's sockets are closed already."""


@dataclass(frozen=True)
class Rule:
    """An address, or a block of them, and a port; None is any."""

    block: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    port: int | None

    @classmethod
    def parse(cls, text: str) -> "Rule":
        """A rule from ``address:port``: ``127.0.0.1:80``, ``10.0.0.0/8:*``, ``[::1]:80``, ``*:1``.

        Raises ValueError.
        """
        host, separator, port = text.rpartition(":")
        if not separator:
            raise ValueError(f"{text!r} is not address:port; write for example 127.0.0.1:8080")
        host = host.removeprefix("[").removesuffix("]")
        try:
            block = None if host == "*" else ipaddress.ip_network(host)
            number = None if port == "*" else int(port)
        except ValueError as error:
            raise ValueError(f"{text!r} is not address:port: {error}") from None
        if number is not None and not 0 <= number <= 65535:
            raise ValueError(f"{text!r}: a port is 0 to 65535")
        return cls(block, number)

    def allows(self, address: Address) -> bool:
        """Whether ``address`` falls under this rule; an IPv4 one mapped to IPv6 counts as IPv4."""
        if self.port is not None and self.port != address.port:
            return False
        if self.block is None:
            return True
        ip = ipaddress.ip_address(address.host)
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            return ip.ipv4_mapped in self.block
        return ip in self.block


Rules = tuple[Rule, ...] | None
"""Allowed if any rule allows it; None allows everything."""

_UNBOUND = {
    Family.INET4: Address(Family.INET4, bytes(4)),
    Family.INET6: Address(Family.INET6, bytes(16)),
}


class HostNetwork:
    """Real sockets. ``bind`` and ``connect`` list what is allowed; None allows everything.

    With a ``connect`` list, names are not looked up unless the list has a rule: an empty one
    leaves a guest numeric addresses only. ``allow_unix`` admits AF_UNIX, whose paths are the
    host's own. Raises ValueError for a rule that is not ``address:port``.
    """

    def __init__(
        self,
        *,
        bind: Sequence[str] | None = None,
        connect: Sequence[str] | None = None,
        allow_unix: bool = False,
    ) -> None:
        self._bind: Rules = None if bind is None else tuple(map(Rule.parse, bind))
        self._connect: Rules = None if connect is None else tuple(map(Rule.parse, connect))
        self._allow_unix = allow_unix

    def open(self, family: Family, kind: Kind) -> Socket:
        """A new host socket. Raises OSError: ENOSYS for AF_UNIX unless it is allowed."""
        if family is Family.UNIX and not self._allow_unix:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        host = open_host(family, kind)
        if family is not Family.UNIX and kind is Kind.STREAM:
            # Guests cannot ask for the first, and some forget the second and so cannot restart.
            host.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            host.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._bind is None and self._connect is None:
            return Socket(host, family, kind, RIGHTS_OPENED)
        return _RuledSocket(host, family, kind, RIGHTS_OPENED, self._bind, self._connect)

    def resolve(self, query: Query) -> list[Found]:
        """Look names up with the host's resolver. Raises OSError."""
        return lookup(query, numeric_only=self._connect == ())

    def close(self) -> None:
        """Nothing is held."""


class _RuledSocket(Socket):
    """A host socket under allow lists."""

    __slots__ = ("_bind", "_bound", "_connect")

    def __init__(
        self,
        host: socket.socket,
        family: Family,
        kind: Kind,
        rights: int,
        bind: Rules,
        connect: Rules,
    ) -> None:
        super().__init__(host, family, kind, rights)
        self._bind = bind
        self._connect = connect
        self._bound = False

    def bind(self, address: Address) -> None:
        """Bind to ``address``; OSError (EACCES) where no rule allows it."""
        _check(self._bind, address)
        super().bind(address)
        self._bound = True

    def listen(self, backlog: int) -> None:
        """Listen; without a bind before, that is on any address and a free port."""
        if not self._bound and self.family in _UNBOUND:
            _check(self._bind, _UNBOUND[self.family])
        super().listen(backlog)

    def accept(self) -> Socket:
        """The next waiting connection, under the same lists."""
        host, _ = self.host.accept()
        return _RuledSocket(
            host, self.family, self.kind, RIGHTS_ACCEPTED, self._bind, self._connect
        )

    def connect(self, address: Address) -> None:
        """Connect to ``address``; OSError (EACCES) where no rule allows it."""
        _check(self._connect, address)
        super().connect(address)

    def send_to(self, data: Sequence[memoryview], address: Address) -> int:
        """Send to ``address``; OSError (EACCES) where no rule allows it."""
        _check(self._connect, address)
        return super().send_to(data, address)


def _check(rules: Rules, address: Address) -> None:
    if rules is None or address.family is Family.UNIX:
        return
    if not any(rule.allows(address) for rule in rules):
        raise OSError(errno.EACCES, f"{address} is not on the guest's list of allowed addresses")


def lookup(query: Query, *, numeric_only: bool = False) -> list[Found]:
    """The host's getaddrinfo; with ``numeric_only`` it asks no name server. Raises OSError."""
    flags = query.flags | (socket.AI_NUMERICHOST if numeric_only else 0)
    try:
        answers = socket.getaddrinfo(
            query.node, query.service, query.family, query.kind, query.protocol, flags
        )
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "the name is not valid") from None
    return [Found(*answer) for answer in answers]
