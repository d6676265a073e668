"""The public addresses."""

import errno
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import LauncherError

_BACKLOG = 2048
_REASONS = {
    errno.EADDRINUSE: "another program uses it; stop that one or choose another --port",
    errno.EACCES: "this user may not; choose a --port of 1024 or above",
    errno.EADDRNOTAVAIL: "it is no address of this machine",
}


@dataclass(frozen=True)
class Address:
    """Where the public server listens; port 0 is any free one."""

    host: str = "127.0.0.1"
    port: int = 8080

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read ``host:port``, with an IPv6 host in brackets. Raises ValueError."""
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not colon or not host or (":" in host and not bracketed):
            raise ValueError("expected HOST:PORT, for example 127.0.0.1:8080")
        if not (port.isascii() and port.isdigit() and int(port) < 65536):
            raise ValueError(f"{port!r} is not a port, a number from 0 to 65535")
        return cls(host[1:-1] if bracketed else host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def listen(self, *, alone: bool = True) -> socket.socket:
        """A socket that listens there, for IPv4 too at IPv6's :: if it is ``alone``.

        Raises LauncherError.
        """
        listener = None
        try:
            found = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            family, kind, protocol, _, where = found[0]
            listener = socket.socket(family, kind, protocol)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and not alone:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(where)
            listener.listen(_BACKLOG)
        except OSError as error:
            if listener is not None:
                listener.close()
            reason = _REASONS.get(error.errno or 0, error.strerror)
            raise LauncherError(f"cannot listen on {self}: {reason}") from error
        return listener


@dataclass(frozen=True)
class Addresses:
    """Several, as they stand on a command line: with commas between."""

    each: tuple[Address, ...]

    @classmethod
    def parse(cls, text: str) -> "Addresses":
        """Read ``host:port,host:port``. Raises ValueError."""
        return cls(tuple(Address.parse(part) for part in text.split(",")))

    def __str__(self) -> str:
        return ",".join(map(str, self.each))


def listen(addresses: Sequence[Address]) -> list[socket.socket]:
    """A socket for each of ``addresses``. Raises LauncherError."""
    found: list[socket.socket] = []
    try:
        for each in addresses:
            found.append(each.listen(alone=len(addresses) == 1))
    except LauncherError:
        for listener in found:
            listener.close()
        raise
    return found
