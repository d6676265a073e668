"""One HTTP/1.1 request to a guest over a Unix socket, and its response as it arrives."""

import asyncio
from typing import Self, cast

import httptools

_MAX_HEAD = 65536  # bytes
_ONE_READ = 4096  # bytes that every guest takes at once
_HIGH_WATER = 262144  # bytes that may wait for the client before the guest is not read


class GuestGone(Exception):
    """The guest refused the connection, closed it early, or sent something not HTTP."""


class GuestAbsent(GuestGone):
    """Nothing listens where the guest did, so it has seen nothing of the request."""


class GuestUnaware(GuestGone):
    """The guest ended before it had read anything of the request."""


class Exchange(asyncio.Protocol):
    """A connection of its own for one request.

    The status and the headers are there after open(); read() gives the body as it comes.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes = 0
        self._head_complete = False
        self._framed = False
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._complete = False
        self._lost: GuestGone | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._sent = 0
        self._transport: asyncio.Transport

    @classmethod
    async def open(cls, path: str, request: bytes) -> Self:
        """Send ``request`` to the guest that listens on ``path``, wait for the response's head.

        Raises GuestAbsent, GuestUnaware and GuestGone.
        """
        loop = asyncio.get_running_loop()
        try:
            _, exchange = await loop.create_unix_connection(cls, path)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise GuestAbsent("the guest has ended") from error
        except OSError as error:
            raise GuestGone(f"the guest does not take connections: {error}") from error
        try:
            exchange._sent = len(request)
            exchange._transport.write(request)
            while not exchange._head_complete:
                await exchange._wait()
        except BaseException:
            exchange.close()
            raise
        return exchange

    async def read(self) -> bytes:
        """The bytes that have come since the last call; waits for some, b"" is the end.

        Raises GuestGone if the connection ends before the response does.
        """
        while not self._body:
            if self._complete:
                return b""
            await self._wait()
        data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        if self._body_bytes > _HIGH_WATER and not self._transport.is_closing():
            self._transport.resume_reading()
        self._body_bytes = 0
        return data

    def close(self) -> None:
        """Close the connection at once, which tells the guest to stop."""
        self._transport.abort()

    async def _wait(self) -> None:
        if self._lost is not None:
            raise self._lost
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what the request is written to."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Parse a part of the answer; one that is not HTTP loses the guest."""
        if self._complete:
            return
        if not self._head_complete:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._lose(f"the guest's answer is not HTTP: {error}")
        if not self._head_complete and self._head_bytes > _MAX_HEAD:
            self._lose("the guest's answer has too long a head")
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """End an answer that only the connection's end frames; any other is lost.

        The system resets a connection whose bytes were not all read. If all of them could be
        read at once, none were.
        """
        unread = isinstance(error, ConnectionError) and not self._head_bytes
        if self._head_complete and not self._framed and error is None:
            self._complete = True
        elif not self._complete and self._lost is None:
            kind = GuestUnaware if unread and self._sent <= _ONE_READ else GuestGone
            self._lost = kind("the guest ended while it was answering")
        self._wake()

    def _lose(self, message: str) -> None:
        self._lost = GuestGone(message)
        self._transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header line, its name in lower case."""
        name = name.lower()
        self._framed = self._framed or name in (b"content-length", b"transfer-encoding")
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the status, unless the answer is an interim one (1xx)."""
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self._head_complete = True
        else:
            self.headers.clear()
            self._framed = False

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body, and read no further while too much is waiting."""
        self._body.append(data)
        below = self._body_bytes <= _HIGH_WATER
        self._body_bytes += len(data)
        if below and self._body_bytes > _HIGH_WATER:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """End the answer, unless it was an interim one."""
        self._complete = self._head_complete
