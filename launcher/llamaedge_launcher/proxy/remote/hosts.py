"""Hosts that may be asked for pictures, as ``--image-urls`` names them, and their addresses."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

ANY = "any"
_PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
_TRANSLATED = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Place:
    """A host and a port; the host of a URL is in ASCII and in lower case."""

    scheme: str
    host: str
    port: int
    target: str

    def __str__(self) -> str:
        """The URL without its query, which may hold a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.target.partition('?')[0]}"


@dataclass(frozen=True)
class _Entry:
    """``host`` is a name, one that begins with ``*.``, an address or ANY; no port is the usual."""

    host: str
    port: int | None

    def allows(self, place: Place) -> bool:
        if place.port != (self.port or _PORTS[place.scheme]):
            return False
        if self.host.startswith("*."):
            return place.host.endswith(self.host[1:]) and not literal(place.host)
        return self.host in (ANY, place.host)


class Hosts:
    """``HOST``, ``HOST:PORT``, ``*.example.org`` or ``any``; without a port the scheme's own.

    An address that is not of the public internet can be had only as ``ADDRESS:PORT``, named
    by itself. Raises ValueError for an entry that is none of these.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = tuple(_parse(each) for each in entries)

    def __bool__(self) -> bool:
        """Whether any host may be asked."""
        return bool(self._entries)

    def allow(self, place: Place) -> bool:
        """Whether ``place`` may be asked, if its address may be."""
        return any(each.allows(place) for each in self._entries)

    def reach(self, host: str, address: str, port: int) -> bool:
        """Whether ``address``, which ``host`` of a URL stands for, may be connected to."""
        found = ip_address(address)
        return is_public(found) or (
            literal(host) == found and _Entry(str(found), port) in self._entries
        )


def literal(host: str) -> Address | None:
    """The address that ``host`` is written as, None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether ``address`` is of the public internet, and so is one that it carries inside."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _TRANSLATED:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if address.teredo is not None or address.is_site_local:
            return False
        if inner is not None:
            return is_public(inner)
    odd = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not odd


def place_of(url: str) -> Place:
    """Where ``url`` leads. Raises ValueError, which says why it leads nowhere."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise ValueError("only http and https are fetched")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with a user's name or password is not fetched")
    host = _ascii(parts.hostname or "")
    if not host:
        raise ValueError("it names no host")
    port = _PORTS[scheme] if parts.port is None else parts.port
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    encoded = "".join(char if "!" <= char <= "~" else _quoted(char) for char in target)
    return Place(scheme, host, port, encoded)


def _quoted(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode(errors="replace"))


def _ascii(host: str) -> str:
    """``host`` as it is asked for in DNS. Raises ValueError."""
    if found := literal(host):
        return str(found)
    try:
        name = host.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        name = ""
    if not _NAME.fullmatch(name) or name.startswith("*"):
        raise ValueError(f"{host!r} is not a host's name")
    return name


def _parse(entry: str) -> _Entry:
    text = entry.strip().lower()
    if address := literal(text.removeprefix("[").removesuffix("]")):
        host, port = str(address), None
    else:
        host, colon, digits = text.rpartition(":")
        host, digits = (host, digits) if colon else (text, "")
        port = int(digits) if digits.isascii() and digits.isdigit() else None
        if colon and (port is None or not 0 < port < 65536):
            raise ValueError(f"{entry!r}: {digits!r} is not a port")
        address = literal(host.removeprefix("[").removesuffix("]"))
        host = str(address) if address else host
    if address is not None and port is None and not is_public(address):
        raise ValueError(f"{entry!r} is a private address; name it with its port, {host}:8000")
    if address is None and host != ANY:
        prefix = "*." if host.startswith("*.") else ""
        host = prefix + _ascii(host.removeprefix(prefix))
    return _Entry(host, port)
