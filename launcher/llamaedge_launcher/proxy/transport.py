"""The way to a guest: a request goes out, an answer comes back as it arrives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from typing import Protocol

from ..fleet.fleet import Fleet
from ..fleet.recipe import Wanted
from ..pool import Instance, Pool, Unavailable
from .exchange import Exchange, GuestAbsent, GuestGone, GuestUnaware


class Answer(Protocol):
    """A guest's answer, whose status and headers (names in lower case) have come."""

    status: int
    headers: list[tuple[bytes, bytes]]

    async def read(self) -> bytes:
        """The bytes that have come since the last call, b"" at the end. Raises GuestGone."""


class Transport(Protocol):
    """Takes an HTTP/1.1 request to a guest that may answer it."""

    def send(
        self, request: bytes, *, wanted: Wanted, computes: bool
    ) -> AbstractAsyncContextManager[Answer]:
        """The answer to ``request``; leaving the block stops the guest's work on it.

        A guest that serves what is ``wanted`` gets it. ``computes`` tells whether the request
        counts as one of those that a guest answers at once. Raises Unavailable, Overloaded,
        ModelRefused, TimedOut and GuestGone.
        """

    def check(self, wanted: Wanted | None) -> None:
        """Raise Unavailable or Overloaded if a request that is sent now would get no place.

        It is for what is ``wanted``, None while that is not known.
        """


class TimedOut(Exception):
    """The request was not answered in the time that it has."""


class FleetTransport:
    """Sends each request to a guest of the deployment in ``fleet`` that it is for.

    It has ``timeout`` seconds to wait and to be answered, 0 for any number.
    """

    def __init__(self, fleet: Fleet, *, timeout: float = 0) -> None:
        self._fleet = fleet
        self._timeout = timeout

    def check(self, wanted: Wanted | None) -> None:
        """As Transport's."""
        self._fleet.check(wanted)

    @asynccontextmanager
    async def send(
        self, request: bytes, *, wanted: Wanted, computes: bool
    ) -> AsyncIterator[Answer]:
        """As Transport's."""
        async with (
            self._fleet.use(wanted) as pool,
            PoolTransport(pool, timeout=self._timeout).send(request, computes=computes) as answer,
        ):
            yield answer


class PoolTransport:
    """Sends each request to an instance of ``pool``.

    It has ``timeout`` seconds to wait and to be answered, 0 for any number. An instance that
    takes no connection has ended: it gets no more requests. A request of which an instance that
    ends has seen nothing goes to another, but only once where it was connected.
    """

    def __init__(self, pool: Pool, *, timeout: float = 0) -> None:
        self._pool = pool
        self._timeout = timeout

    @asynccontextmanager
    async def send(self, request: bytes, *, computes: bool) -> AsyncIterator[Answer]:
        """As Transport's, of a deployment that is chosen."""
        whole = asyncio.timeout(self._timeout or None)
        try:
            async with whole, self._answer(request, computes) as answer:
                yield answer
        except TimeoutError as error:
            if not whole.expired():
                raise
            message = f"the request was not answered within {self._timeout:g} s"
            raise TimedOut(f"{message}, as --request-timeout says") from error

    @asynccontextmanager
    async def _answer(self, request: bytes, computes: bool) -> AsyncIterator[Answer]:
        again = tried = False
        while True:
            async with self._pool.lease(computes=computes, again=again) as instance:
                try:
                    async with _connected(instance):
                        with closing(await Exchange.open(instance.path, request)) as exchange:
                            yield exchange
                    return
                except GuestAbsent:
                    reason = "the guest has ended; another one is being started"
                    self._pool.remove(instance.path, Unavailable(reason))
                except GuestUnaware:
                    if tried:
                        raise
                    tried = True
            again = True


@asynccontextmanager
async def _connected(instance: Instance) -> AsyncIterator[None]:
    try:
        async with instance.connected():
            yield
    except TimeoutError as error:
        raise GuestGone("the guest hung, and was replaced") from error
