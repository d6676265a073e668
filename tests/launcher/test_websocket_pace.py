"""WebSockets whose clients read slowly, or not at all, before a guest that never ends."""

import asyncio
import base64
import json
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest
import uvicorn

from llamaedge_launcher.fleet.recipe import Wanted
from llamaedge_launcher.proxy.app import create_app
from llamaedge_launcher.proxy.guest_api import CHAT
from llamaedge_launcher.proxy.handshake import UVICORN
from llamaedge_launcher.settings import Settings

from .conftest import Loading

CHUNK = b'data: {"text": "%s"}\n\n' % (b"x" * 1000)
MOST = 20_000  # chunks, far more than all buffers on the way hold


class Endless:
    """A transport whose guest answers for ever."""

    status = 200
    headers = ((b"content-type", b"text/event-stream"),)

    def __init__(self) -> None:
        self.reads = 0
        self.open = 0

    def check(self, wanted: Wanted | None) -> None:
        """It always has a place."""

    @asynccontextmanager
    async def send(
        self, request: bytes, *, wanted: Wanted, computes: bool
    ) -> AsyncIterator["Endless"]:
        self.open += 1
        try:
            yield self
        finally:
            self.open -= 1

    async def read(self) -> bytes:
        self.reads += 1
        await asyncio.sleep(0)
        return CHUNK


@contextmanager
def serving(guest: Endless, folder: Path, **options: float) -> Iterator[int]:
    """A server in a thread; its port."""
    app = create_app(
        guest,  # type: ignore[arg-type]
        Loading(),
        Settings(data_dir=folder),
        known_only=True,
        local=True,
    )
    config = uvicorn.Config(app, log_config=None, lifespan="off", **UVICORN | options)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@contextmanager
def asking(port: int) -> Iterator[socket.socket]:
    """A client that asks for a stream and has read nothing of it."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(20)
        raw.connect(("127.0.0.1", port))
        key = base64.b64encode(bytes(16)).decode()
        raw.sendall(
            f"GET {CHAT} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "\r\n".encode()
        )
        assert raw.recv(12) == b"HTTP/1.1 101"
        text = json.dumps({"messages": [], "stream": True}).encode()
        raw.sendall(b"\x81" + struct.pack("!B", 0x80 | len(text)) + bytes(4) + text)
        yield raw


def until(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def stands(guest: Endless) -> bool:
    before = guest.reads
    time.sleep(0.5)
    return before == guest.reads > 0


def test_a_client_that_does_not_read_stops_the_guest(tmp_path: Path) -> None:
    guest = Endless()
    with serving(guest, tmp_path) as port, asking(port) as raw:
        until(lambda: stands(guest))
        stood = guest.reads
        assert stood < MOST
        while guest.reads == stood:
            assert raw.recv(65536)


@pytest.mark.parametrize("reads", [True, False])
def test_a_client_that_answers_no_ping_is_closed(tmp_path: Path, reads: bool) -> None:
    guest = Endless()
    with (
        serving(guest, tmp_path, ws_ping_interval=0.2, ws_ping_timeout=0.2) as port,
        asking(port) as raw,
    ):
        until(lambda: guest.reads > 0)
        if reads:
            with suppress(ConnectionResetError):
                while raw.recv(65536):
                    pass
        until(lambda: guest.open == 0)
