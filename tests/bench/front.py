"""What the front costs: of a streamed answer, and of each /v1/models.

An answer of the real model comes through the front and, in turns, from its guest's own socket.
Requests for /v1/models go to the front and, in turns, to an application on the same uvicorn that
does nothing, from the same clients; both share the machine with them.
"""

import json
import multiprocessing
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ports import free_port
from report import Report
from server import Server

TOKENS = 200
CLIENTS = 2
SECONDS = 3.0
BATCH = 8  # requests that a client sends at once
GET = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
NOTHING = """
import asyncio, socket, sys, uvicorn
BODY = b"x" * int(sys.argv[2])
async def app(scope, receive, send):
    headers = [(b"content-length", b"%d" % len(BODY)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})
config = uvicorn.Config(app, port=int(sys.argv[1]), http="httptools", lifespan="off",
                        access_log=False, log_level="error")
uvicorn.Server(config).run()
"""


def measure(report: Report, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Server(environment={"TMPDIR": folder}) as server:
        guest = str(next(Path(folder).glob("llamaedge-*/*/*.sock")))
        stream(("127.0.0.1", server.port), 16)
        for _ in range(rounds):
            report.compare(
                f"ms of a stream of {TOKENS} tokens",
                {
                    "the guest alone": lambda: stream(guest, TOKENS) * 1e3,
                    "through the front": lambda: stream(("127.0.0.1", server.port), TOKENS) * 1e3,
                },
            )
        with Nothing(len(server.client.get("/v1/models").content)) as nothing:
            for _ in range(rounds):
                report.compare(
                    "/v1/models a second",
                    {
                        "an empty application": lambda: rate(nothing.port),
                        "the front": lambda: rate(server.port),
                    },
                    turns=2,
                )


def stream(where: str | tuple[str, int], tokens: int) -> float:
    """Seconds of a streamed answer."""
    body = json.dumps(
        {
            "model": "default",
            "messages": [{"role": "user", "content": "Write a long story about the sea."}],
            "stream": True,
            "temperature": 0,
            "max_tokens": tokens,
        }
    ).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
    with socket.socket(family) as connection:
        connection.connect(where)
        started = time.perf_counter()
        connection.sendall(head + body)
        end = b""
        while data := connection.recv(65536):
            end = (end + data)[-100:]
        assert b"[DONE]" in end, end
        return time.perf_counter() - started


def rate(port: int) -> float:
    """Answers a second to all clients together."""
    with multiprocessing.get_context("spawn").Pool(CLIENTS) as pool:
        return sum(pool.map(_ask, [port] * CLIENTS))


def _ask(port: int) -> float:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(GET)
        size = len(connection.recv(65536))
        started = time.perf_counter()
        answered = 0
        while (seconds := time.perf_counter() - started) < SECONDS:
            connection.sendall(GET * BATCH)
            connection.recv(size * BATCH, socket.MSG_WAITALL)
            answered += BATCH
        return answered / seconds


class Nothing:
    """uvicorn with an application that answers with ``size`` bytes and does nothing else."""

    def __init__(self, size: int) -> None:
        self.port = free_port()
        command = [sys.executable, "-c", NOTHING, str(self.port), str(size)]
        self._process = subprocess.Popen(command)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.02)

    def __enter__(self) -> "Nothing":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
