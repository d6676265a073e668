"""The way to a guest: a request goes out, an answer comes back as it arrives."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from ..pool import Pool, Unavailable
from .exchange import Exchange, GuestAbsent


class Answer(Protocol):
    """A guest's answer, whose status and headers (names in lower case) have come."""

    status: int
    headers: list[tuple[bytes, bytes]]

    async def read(self) -> bytes:
        """The bytes that have come since the last call, b"" at the end. Raises GuestGone."""


class Transport(Protocol):
    """Takes an HTTP/1.1 request to a guest that may answer it."""

    def send(self, request: bytes, *, computes: bool) -> AbstractAsyncContextManager[Answer]:
        """The answer to ``request``; leaving the block stops the guest's work on it.

        ``computes`` tells whether the request counts as one of those that a guest answers at
        once. Raises Unavailable, Overloaded and GuestGone.
        """


class PoolTransport:
    """Sends each request to an instance of ``pool``.

    An instance that takes no connection has ended: it gets no more requests, and this one,
    of which it has seen nothing, goes to another.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def send(self, request: bytes, *, computes: bool) -> AsyncIterator[Answer]:
        """As Transport's."""
        while True:
            async with self._pool.lease(computes=computes) as path:
                try:
                    exchange = await Exchange.open(path, request)
                except GuestAbsent:
                    reason = "the guest has ended; another one is being started"
                    self._pool.remove(path, Unavailable(reason))
                    continue
                try:
                    yield exchange
                finally:
                    exchange.close()
                return
