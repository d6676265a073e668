"""A file of the web, from hosts that are allowed and addresses of the public internet.

A name is resolved here, the addresses are checked, and the connection is to one of those: what the
name stands for a moment later does not matter.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from functools import cached_property
from ssl import SSLContext
from typing import Any
from urllib.parse import urljoin

import httpcore2
import httpx2

from ... import __version__
from .hosts import Hosts, Place, place_of

MOST_BYTES = 20 << 20
"""Bytes of a file."""
MOST_REDIRECTS = 3
_CONNECTING, _SILENCE = 5.0, 10.0  # seconds
_MOVED = frozenset((301, 302, 303, 307, 308))
_HEADERS = (
    (b"Accept", b"image/png, image/jpeg, image/gif, image/bmp"),
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", f"llamaedge/{__version__}".encode()),
)
_TIMEOUTS = {"connect": _CONNECTING, "read": _SILENCE, "write": _SILENCE, "pool": _SILENCE}


class FetchError(Exception):
    """What a URL leads to cannot be had; the message says why."""


class Fetcher:
    """Fetches from ``hosts``."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    @cached_property
    def _tls(self) -> SSLContext:
        return httpx2.create_ssl_context()

    async def fetch(self, url: str, take: Callable[[int], None]) -> bytes:
        """The file at ``url``; ``take`` is told of each part's bytes before it is kept.

        Raises FetchError, and what ``take`` raises.
        """
        for _ in range(MOST_REDIRECTS + 1):
            place = self._place(url)
            network = _Checked(self._hosts)
            async with httpcore2.AsyncConnectionPool(
                self._tls, network_backend=network, http1=True
            ) as pool:
                try:
                    moved, data = await _ask(pool, place, take)
                except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
                    raise FetchError(f"{place}: {error or 'the connection broke off'}") from error
                except httpcore2.TimeoutException as error:
                    raise FetchError(f"{place} does not answer") from error
            if moved is None:
                return data
            url = urljoin(url, moved)
        raise FetchError(f"{place} leads on and on: {MOST_REDIRECTS} redirects are followed")

    def _place(self, url: str) -> Place:
        try:
            place = place_of(url)
        except ValueError as error:
            raise FetchError(f"the URL cannot be fetched: {error}") from None
        if not self._hosts.allow(place):
            name = f"{place.host}:{place.port}"
            raise FetchError(f"{place}: {name} is not among the hosts of --image-urls")
        return place


async def _ask(
    pool: httpcore2.AsyncConnectionPool, place: Place, take: Callable[[int], None]
) -> tuple[str | None, bytes]:
    """Where ``place`` says to go instead, None if nowhere, and what is there."""
    url = httpcore2.URL(
        scheme=place.scheme.encode(),
        host=place.host.encode(),
        port=place.port,
        target=place.target.encode(),
    )
    extensions = {"timeout": _TIMEOUTS}
    async with pool.stream("GET", url, headers=_HEADERS, extensions=extensions) as answer:
        headers = {name.lower(): value.decode("latin-1") for name, value in answer.headers}
        if answer.status in _MOVED and b"location" in headers:
            return headers[b"location"], b""
        if answer.status != 200:
            raise FetchError(f"{place} answers {answer.status}")
        if headers.get(b"content-encoding", "identity").strip().lower() != "identity":
            raise FetchError(f"{place} answers with a compressed body, which was not asked for")
        parts: list[bytes] = []
        size = 0
        async for part in answer.aiter_stream():
            size += len(part)
            if size > MOST_BYTES:
                raise FetchError(f"{place} has more than {MOST_BYTES >> 20} MiB")
            take(len(part))
            parts.append(part)
        return None, b"".join(parts)


class _Checked(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that ``hosts`` let be reached, and to no other."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection. Raises FetchError, and httpcore2's ConnectError."""
        addresses = await _resolve(host, port)
        allowed = [each for each in addresses if self._hosts.reach(host, each, port)]
        if not allowed:
            what = f"{host} is {addresses[0]}" if host not in addresses else host
            raise FetchError(f"{what}, which is not an address of the public internet")
        failure: Exception | None = None
        for address in allowed:
            try:
                return await self._network.connect_tcp(address, port, timeout, None, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise httpcore2.ConnectError(f"{host} cannot be connected to") from failure


async def _resolve(host: str, port: int) -> list[str]:
    """The addresses of ``host``, one at least. Raises FetchError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError(f"the host {host} cannot be found") from error
    return list(dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found))
