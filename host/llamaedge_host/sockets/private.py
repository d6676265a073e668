"""A network without a network: what a guest listens on becomes a Unix socket in a folder."""

import errno
import itertools
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import HostError
from .address import HOST_UNIX_PATH_SIZE, UNSPECIFIED, Address, Family, Kind
from .network import Found, Query, lookup
from .socket import NOSIGNAL, RIGHTS_ACCEPTED, RIGHTS_OPENED, Socket

_LOOPBACK = {
    Family.INET4: bytes((127, 0, 0, 1)),
    Family.INET6: bytes(15) + b"\x01",
}
_EPHEMERAL_PORTS = range(49152, 65536)
_LONGEST_NAME = "65535.sock"


class PrivateNetwork:
    """Sockets that nobody outside ``folder`` can reach.

    Whatever address the guest binds and listens on becomes the Unix stream socket
    ``folder/PORT.sock``; ``on_listen`` is called with its path once it accepts connections, in
    the guest's thread, and ``on_request`` with the first bytes that the guest receives of each
    connection. The folder is made, open to its owner only, unless it exists.
    Outgoing connections and datagrams are refused (EACCES). One network serves one guest.

    Raises HostError for a folder whose path is too long for a Unix socket.
    """

    def __init__(
        self,
        folder: Path,
        on_listen: Callable[[Path], None] | None = None,
        on_request: Callable[[bytes], None] | None = None,
    ) -> None:
        if len(os.fsencode(folder / _LONGEST_NAME)) >= HOST_UNIX_PATH_SIZE:
            raise HostError(
                f"the folder {str(folder)!r} has too long a path for a Unix socket: "
                f"{HOST_UNIX_PATH_SIZE} bytes are the limit; choose a shorter one (TMPDIR says"
                " where temporary ones are)"
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._folder = folder
        self._on_listen = on_listen
        self._on_request = on_request
        self._bound: dict[tuple[Family, int], _PrivateSocket] = {}
        self._ports: Iterator[int] = itertools.cycle(_EPHEMERAL_PORTS)

    def open(self, family: Family, kind: Kind) -> Socket:
        """A socket that can listen. Raises OSError: ENOSYS: AF_UNIX; EACCES: a datagram socket."""
        if family is Family.UNIX:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        if kind is not Kind.STREAM:
            raise OSError(errno.EACCES, "a private network has no datagrams")
        return _PrivateSocket(self, _unix_stream(), family)

    def resolve(self, query: Query) -> list[Found]:
        """Read numeric addresses and ``localhost``; no name server is asked. Raises OSError."""
        if query.node is not None and query.node.lower() == b"localhost":
            node = b"::1" if query.family == socket.AF_INET6 else b"127.0.0.1"
            query = query._replace(node=node)
        return lookup(query, numeric_only=True)

    def close(self) -> None:
        """Nothing is held: the sockets in the folder go when the guest's do."""

    def claim(self, owner: "_PrivateSocket", address: Address) -> Address:
        """``address`` with a port of its own. Raises OSError (EADDRINUSE)."""
        port = address.port or next(
            port for port in self._ports if (address.family, port) not in self._bound
        )
        if (address.family, port) in self._bound:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        self._bound[address.family, port] = owner
        return address._replace(port=port)

    def release(self, address: Address) -> None:
        """Let others have the address."""
        self._bound.pop((address.family, address.port), None)

    def peer_port(self) -> int:
        """A port for a connection's far end."""
        return next(self._ports)

    def path(self, address: Address) -> Path:
        """Where the Unix socket for ``address`` lies; IPv4 and IPv6 share no path."""
        suffix = "" if address.family is Family.INET4 else "-6"
        return self._folder / f"{address.port}{suffix}.sock"

    def listening(self, path: Path) -> None:
        """Tell that ``path`` accepts connections."""
        if self._on_listen is not None:
            self._on_listen(path)

    def accepted(self, host: socket.socket) -> socket.socket:
        """``host``, or one in its place that tells the first bytes that come."""
        if self._on_request is None:
            return host
        return _Overheard(host, self._on_request)


def _unix_stream() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


class _PrivateSocket(Socket):
    """A socket of a private network, which believes in the address that its guest bound."""

    __slots__ = ("_bound", "_network", "_path")

    def __init__(self, network: PrivateNetwork, host: socket.socket, family: Family) -> None:
        super().__init__(host, family, Kind.STREAM, RIGHTS_OPENED)
        self._network = network
        self._bound: Address | None = None
        self._path: Path | None = None

    def bind(self, address: Address) -> None:
        """Remember ``address``. Raises OSError: EINVAL if bound, EAFNOSUPPORT, EADDRINUSE."""
        if self._bound is not None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self.fitting(address)
        self._bound = self._network.claim(self, address)

    def listen(self, backlog: int) -> None:
        """Listen in the folder; without a bind before, on a port of the network's choice."""
        if self._path is None:
            if self._bound is None:
                self.bind(Address(self.family, bytes(len(_LOOPBACK[self.family]))))
            assert self._bound is not None
            path = self._network.path(self._bound)
            path.unlink(missing_ok=True)
            self.host.bind(str(path))
            self._path = path
            self.host.listen(backlog)
            self._network.listening(path)
        else:
            self.host.listen(backlog)

    def accept(self) -> Socket:
        """The next waiting connection, which seems to come from this machine."""
        host, _ = self.host.accept()
        assert self._bound is not None
        local = self._bound
        if not any(local.host):
            local = local._replace(host=_LOOPBACK[self.family])
        peer = Address(self.family, _LOOPBACK[self.family], self._network.peer_port())
        return _PrivateConnection(self._network.accepted(host), local, peer)

    def connect(self, address: Address) -> None:
        """Refused: OSError (EACCES)."""
        raise OSError(errno.EACCES, f"a private network has no way to {address}")

    def send_to(self, data: Sequence[memoryview], address: Address) -> int:
        """Refused: OSError (EACCES)."""
        raise OSError(errno.EACCES, f"a private network has no way to {address}")

    def local(self) -> Address:
        """The address that the guest bound, or port 0 of any address."""
        return self._bound or Address(self.family, bytes(len(_LOOPBACK[self.family])))

    def peer(self) -> Address:
        """There is none: OSError (ENOTCONN)."""
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    def close(self) -> None:
        """Close, and take the Unix socket out of the folder."""
        super().close()
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()
        if self._bound is not None:
            self._network.release(self._bound)


class _Overheard(socket.socket):
    """``host``, whose first bytes go to ``tell`` too. It receives as guests' sockets do."""

    def __init__(self, host: socket.socket, tell: Callable[[bytes], None]) -> None:
        super().__init__(host.family, host.type, host.proto, host.detach())
        self._tell: Callable[[bytes], None] | None = tell

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """socket's call."""
        received = super().recv_into(buffer, nbytes, flags)
        self._overhear([buffer], received)
        return received

    def recvmsg_into(self, buffers: Any, ancbufsize: int = 0, flags: int = 0) -> Any:
        """socket's call."""
        found = super().recvmsg_into(buffers, ancbufsize, flags)
        if not flags & socket.MSG_PEEK:
            self._overhear(buffers, found[0])
        return found

    def _overhear(self, buffers: Sequence[memoryview], received: int) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(b"".join(bytes(each) for each in buffers)[:received])


class _PrivateConnection(Socket):
    """An accepted connection of a private network."""

    __slots__ = ("_local", "_peer")

    def __init__(self, host: socket.socket, local: Address, peer: Address) -> None:
        super().__init__(host, local.family, Kind.STREAM, RIGHTS_ACCEPTED)
        self._local = local
        self._peer = peer

    def local(self) -> Address:
        """The listener's address."""
        return self._local

    def peer(self) -> Address:
        """A loopback address with a port of its own."""
        return self._peer

    def source(self, address: object) -> Address:
        """A stream's messages carry no sender."""
        return UNSPECIFIED

    def bind(self, address: Address) -> None:
        """A connection cannot be bound: OSError (EINVAL)."""
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def connect(self, address: Address) -> None:
        """It is connected: OSError (EISCONN)."""
        raise OSError(errno.EISCONN, os.strerror(errno.EISCONN))

    def send_to(self, data: Sequence[memoryview], address: Address) -> int:
        """As a connected TCP socket does, send and ignore ``address``."""
        return self.host.sendmsg(data, (), NOSIGNAL)
