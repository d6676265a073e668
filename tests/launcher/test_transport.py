"""The pool's transport, before guests on Unix sockets."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from llamaedge_launcher.pool import Overloaded, Pool, Unavailable
from llamaedge_launcher.proxy.exchange import GuestGone
from llamaedge_launcher.proxy.transport import PoolTransport, TimedOut

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)


async def ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def begins(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER[:-1])


async def sleeps(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


async def listens(path: Path, act: Act) -> str:
    await asyncio.start_unix_server(act, path)
    return str(path)


async def ask(transport: PoolTransport, request: bytes = REQUEST) -> bytes:
    body = b""
    async with transport.send(request, computes=True) as answer:
        while part := await answer.read():
            body += part
    return body


def deaf(path: Path) -> socket.socket:
    """A guest that takes connections and never looks at them."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def run(test: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test, 20)

    asyncio.run(bounded())


def test_what_no_guest_has_seen_goes_to_another(tmp_path: Path) -> None:
    async def test() -> None:
        pool = Pool(limit=1)
        ending = deaf(tmp_path / "a")
        pool.add(str(tmp_path / "a"))
        asking = asyncio.create_task(ask(PoolTransport(pool)))
        await asyncio.sleep(0.1)
        pool.remove(str(tmp_path / "a"), Unavailable("it ended"))
        ending.close()
        await asyncio.sleep(0.1)
        pool.add(await listens(tmp_path / "b", answers))
        assert await asking == b"ok"

    run(test())


def test_what_may_have_been_seen_is_not_sent_again(tmp_path: Path) -> None:
    async def test() -> None:
        pool = Pool(limit=1)
        ending = deaf(tmp_path / "a")
        pool.add(str(tmp_path / "a"))
        long = REQUEST[:-2] + b"X: " + b"x" * 5000 + b"\r\n\r\n"
        asking = asyncio.create_task(ask(PoolTransport(pool), long))
        await asyncio.sleep(0.1)
        pool.add(await listens(tmp_path / "b", answers))
        ending.close()
        with pytest.raises(GuestGone):
            await asking

    run(test())


def test_it_goes_to_one_other_guest_and_no_further(tmp_path: Path) -> None:
    async def test() -> None:
        pool = Pool(limit=1)
        guests = [deaf(tmp_path / name) for name in "ab"]
        for name in "ab":
            pool.add(str(tmp_path / name))
        asking = asyncio.create_task(ask(PoolTransport(pool)))
        for name, each in zip("ab", guests, strict=True):
            await asyncio.sleep(0.1)
            pool.remove(str(tmp_path / name), Unavailable("it ended"))
            each.close()
        with pytest.raises(GuestGone):
            await asking

    run(test())


@pytest.mark.parametrize("act", [ends, begins])
def test_what_a_guest_has_seen_is_lost_with_it(tmp_path: Path, act: Act) -> None:
    async def test() -> None:
        pool = Pool(limit=1)
        pool.add(await listens(tmp_path / "a", act))
        pool.add(await listens(tmp_path / "b", answers))
        asking = asyncio.create_task(ask(PoolTransport(pool)))
        await asyncio.sleep(0.1)
        pool.remove(str(tmp_path / "a"), Unavailable("it hung"), cut=True)
        with pytest.raises(GuestGone):
            await asking
        assert pool.running == 0

    run(test())


@pytest.mark.parametrize("act", [sleeps, begins])
def test_an_answer_that_takes_too_long_is_timed_out(tmp_path: Path, act: Act) -> None:
    async def test() -> None:
        pool = Pool(limit=1)
        pool.add(await listens(tmp_path / "a", act))
        with pytest.raises(TimedOut, match=r"not answered within 0.1 s, as --request-timeout"):
            await ask(PoolTransport(pool, timeout=0.1))
        assert pool.running == 0

    run(test())


def test_waiting_counts(tmp_path: Path) -> None:
    async def test() -> None:
        pool = Pool(limit=1)
        pool.add(await listens(tmp_path / "a", sleeps))
        first = asyncio.create_task(ask(PoolTransport(pool)))
        await asyncio.sleep(0.05)
        with pytest.raises(TimedOut):
            await ask(PoolTransport(pool, timeout=0.1))
        assert (pool.running, pool.waiting) == (1, 0)
        first.cancel()

    run(test())


def test_a_full_queue_is_told_beforehand(tmp_path: Path) -> None:
    async def test() -> None:
        pool = Pool(limit=1, max_waiting=0)
        transport = PoolTransport(pool)
        with pytest.raises(Unavailable):
            pool.check()
        pool.add(await listens(tmp_path / "a", sleeps))
        pool.check()
        first = asyncio.create_task(ask(transport))
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded):
            pool.check()
        first.cancel()

    run(test())
