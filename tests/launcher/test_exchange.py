import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaedge_launcher.proxy.exchange import Exchange, GuestAbsent, GuestGone

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
)
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"
UNFRAMED = b"HTTP/1.1 200 OK\r\n\r\nhello world"
CONTINUED = b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + SIZED


@asynccontextmanager
async def guest(*parts: bytes, hold: bool = False) -> AsyncIterator[str]:
    """A server that answers with these writes, and then closes or holds the connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0)
            if hold:
                await reader.read()
        finally:
            writer.close()

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "guest"))
        server = await asyncio.start_unix_server(answer, path)
        try:
            yield path
        finally:
            server.close()


async def body(path: str) -> bytes:
    exchange = await Exchange.open(path, REQUEST)
    try:
        parts = []
        while part := await exchange.read():
            parts.append(part)
        return b"".join(parts)
    finally:
        exchange.close()


def fetch(*parts: bytes) -> bytes:
    async def run() -> bytes:
        async with guest(*parts) as path:
            return await asyncio.wait_for(body(path), 5)

    return asyncio.run(run())


@settings(max_examples=60)
@given(
    response=st.sampled_from([CHUNKED, SIZED, UNFRAMED, CONTINUED]),
    cuts=st.lists(st.integers(0, 120), max_size=8),
)
def test_a_response_is_the_same_however_it_is_split(response: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(response)]
    parts = [response[a:b] for a, b in pairwise(edges)]
    assert fetch(*parts) == b"hello world"


@pytest.mark.parametrize("response", [CHUNKED, SIZED, CONTINUED])
@pytest.mark.parametrize("missing", [1, 3, 20, 60])
def test_a_response_that_ends_early_is_an_error(response: bytes, missing: int) -> None:
    with pytest.raises(GuestGone, match="ended"):
        fetch(response[:-missing])


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (b"hello\r\n\r\n", "not HTTP"),
        (CHUNKED.replace(b"6\r\n", b"?\r\n"), "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000, "too long a head"),
    ],
)
def test_what_is_not_http_is_an_error(response: bytes, message: str) -> None:
    with pytest.raises(GuestGone, match=message):
        fetch(response)


def test_no_one_listens() -> None:
    with pytest.raises(GuestAbsent, match="the guest has ended"):
        asyncio.run(body("/nowhere/guest"))


def test_what_listens_there_is_no_guest(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(tmp_path / "guest"))
        with pytest.raises(GuestGone, match="does not take connections"):
            asyncio.run(body(str(tmp_path / "guest")))


def test_status_and_headers_come_before_the_body() -> None:
    async def run() -> None:
        head = b"HTTP/1.1 404 Not Found\r\nX-One: 1\r\nContent-Length: 3\r\n\r\n"
        async with guest(head, hold=True) as path:
            exchange = await asyncio.wait_for(Exchange.open(path, REQUEST), 5)
            assert exchange.status == 404
            assert exchange.headers == [(b"x-one", b"1"), (b"content-length", b"3")]
            exchange.close()

    asyncio.run(run())


def test_a_guest_that_is_not_read_must_wait() -> None:
    async def run() -> None:
        size = 64 * 1024 * 1024
        written = 0

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            while written < size:
                writer.write(bytes(65536))
                await writer.drain()
                written += 65536

        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder, "guest"))
            server = await asyncio.start_unix_server(answer, path)
            exchange = await Exchange.open(path, REQUEST)
            await asyncio.sleep(0.2)
            assert written < size / 16
            total = 0
            while part := await exchange.read():
                total += len(part)
            assert total == size
            exchange.close()
            server.close()

    asyncio.run(run())
