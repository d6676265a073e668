"""What the public server bears: sizes, numbers, and clients that are slow."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from uvicorn.server import ServerState

from llamaedge_launcher.proxy.body import Bodies, Room, read_body
from llamaedge_launcher.proxy.connection import Bounds, Connection
from llamaedge_launcher.proxy.errors import ApiError

from .conftest import Front, StartFront

CHAT = "/v1/chat/completions"
HEAD = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\n".encode()
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
MEGABYTE = bytes(10**6)
QUICK = {"HEAD_PATIENCE": 0.5, "BODY_PATIENCE": 0.5, "READ_PATIENCE": 1.0}


def connect(front: Front) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", front.port))
    connection.settimeout(20)
    return connection


def answered(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """The status of the one answer of a connection that is closed then, and its error."""
    received = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower(), received
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return int(head.split()[1]), error


def send(front: Front, *parts: bytes) -> tuple[int, dict[str, Any]]:
    with connect(front) as connection:
        with suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        return answered(connection)


def memory(front: Front, what: str = "VmRSS") -> int:
    status = Path(f"/proc/{front.process.pid}/status").read_text()
    return int(re.findall(rf"{what}:\s+(\d+) kB", status)[0]) * 1024


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ([HEAD, b"X: y\r\n" * 10_000, b"\r\n"], 431, "headers_too_large"),
        ([HEAD, b"X: " + b"y" * 100_000, b"\r\n\r\n"], 431, "headers_too_large"),
        ([HEAD, *[b"X" * 65536] * 20], 431, "headers_too_large"),
        ([b"GET /" + b"a" * 100_000, b" HTTP/1.1\r\n\r\n"], 431, "headers_too_large"),
        ([b"nonsense\r\n\r\n"], 400, "invalid_request"),
        ([HEAD, b"Content-Length: -1\r\n\r\n"], 400, "invalid_request"),
        ([HEAD, b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n"], 400, "invalid_request"),
        ([HEAD, b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"], 400, "invalid_request"),
        ([HEAD, b"Content-Length: 100000000\r\n\r\n", *[MEGABYTE] * 100], 413, "body_too_large"),
        ([HEAD, CHUNKED, *[b"f4240\r\n%b\r\n" % MEGABYTE] * 100], 413, "body_too_large"),
    ],
)
def test_what_is_too_large_or_no_request_is_refused(
    front: Front, client: httpx.Client, parts: list[bytes], status: int, code: str
) -> None:
    client.get("/v1/models")
    before = memory(front)
    found, error = send(front, *parts)
    assert (found, error["code"]) == (status, code)
    assert client.get("/v1/models").status_code == 200
    assert memory(front) - before < 150_000_000
    assert "Traceback" not in front.log.read_text()


def test_the_size_of_a_body_is_an_option(start_front: StartFront) -> None:
    front = start_front(max_body_size=1000)
    with front.client() as client:
        body = json.dumps({"messages": [], "x": ""})
        for size, status in ((1000, 200), (1001, 413)):
            content = body[:-2] + "x" * (size - len(body)) + body[-2:]
            response = client.post(CHAT, content=content)
            assert response.status_code == status
        assert "larger than 1000 bytes, which --max-body-size says" in response.text


def test_a_body_counts_once_whatever_it_is_turned_into() -> None:
    """A request that another one was made of is read again, with the body of that one."""
    room = Room(most=1000, together=1500)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for size in (900, 800, 700):
            assert await read_body(scope, partial(arriving, size)) == bytes(size)
            assert room.left == 1500 - size
        with pytest.raises(ApiError) as raised:
            await read_body(scope, partial(arriving, 1001))
        assert raised.value.status == 413

    async def arriving(size: int) -> dict[str, Any]:
        return {"type": "http.request", "body": bytes(size), "more_body": False}

    scope: dict[str, Any] = {"type": "http", "headers": []}
    asyncio.run(Bodies(app, room=room)(scope, None, None))  # type: ignore[arg-type]
    assert room.left == 1500


def test_all_bodies_together_are_bounded(start_front: StartFront) -> None:
    front = start_front(max_body_size=1_000_000, max_body_memory=1_500_000)
    big = {"messages": [], "x": "x" * 900_000}
    with front.client() as client, ThreadPoolExecutor(1) as thread:
        for _ in range(3):
            assert client.post(CHAT, json=big).status_code == 200
        slow = thread.submit(client.post, CHAT, json=big | {"answer": "wait", "seconds": 1})
        time.sleep(0.5)
        refused = client.post(CHAT, json=big)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "overloaded"
        assert refused.headers["retry-after"] == "1"
        assert client.post(CHAT, json={"messages": []}).status_code == 200
        assert slow.result().status_code == 200
        assert client.post(CHAT, json=big).status_code == 200


def test_a_body_of_very_many_values_is_refused(client: httpx.Client) -> None:
    body = b'{"messages": [' + b"[]," * 2_000_000 + b"1]}"
    response = client.post(CHAT, content=body)
    assert response.status_code == 400
    assert "more than 1000000 values" in response.json()["error"]["message"]


def test_nothing_is_read_of_a_request_that_gets_no_place(start_front: StartFront) -> None:
    front = start_front(limit=1, max_queue=0)
    with front.client() as client, ThreadPoolExecutor(1) as thread:
        body = {"messages": [], "answer": "wait", "seconds": 2}
        slow = thread.submit(client.post, CHAT, json=body)
        time.sleep(0.5)
        status, error = send(front, HEAD, b"Content-Length: 60000000\r\n\r\n")
        assert (status, error["code"]) == (429, "overloaded")
        assert slow.result().status_code == 200


@pytest.mark.parametrize(
    ("part", "what"),
    [
        (b"POST /v1/cha", "head"),
        (HEAD, "head"),
        (HEAD + b"Content-Length: 9\r\n\r\n{", "body"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "body"),
        (
            b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b",
            "body",
        ),
    ],
)
def test_half_a_request_is_timed_out(start_front: StartFront, part: bytes, what: str) -> None:
    front = start_front(patience=QUICK)
    status, error = send(front, part)
    assert (status, error["code"]) == (408, "timeout")
    assert what in error["message"]
    assert "Traceback" not in front.log.read_text()


def test_a_connection_that_brings_nothing_is_closed(start_front: StartFront) -> None:
    front = start_front(patience=QUICK | {"KEEP_ALIVE": 0.5})
    with connect(front) as silent, connect(front) as used:
        used.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with suppress(ConnectionResetError):
            received = b""
            while part := used.recv(65536):
                received += part
        assert received.startswith(b"HTTP/1.1 200")
        with suppress(ConnectionResetError):
            assert silent.recv(1) == b""


def test_slow_senders_harm_no_one(start_front: StartFront) -> None:
    front = start_front(limit=1, patience=QUICK)
    ended: list[int] = []

    def slow() -> None:
        with connect(front) as connection:
            connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
            with suppress(ConnectionError):
                for _ in range(100):
                    connection.sendall(b" ")
                    time.sleep(0.05)
            ended.append(answered(connection)[0])

    threads = [threading.Thread(target=slow) for _ in range(10)]
    for thread in threads:
        thread.start()
    with front.client() as client:
        for _ in range(20):
            assert client.post(CHAT, json={"messages": []}).status_code == 200
    for thread in threads:
        thread.join()
    assert set(ended) == {408}


def test_a_reader_that_stops_frees_its_guest(start_front: StartFront) -> None:
    front = start_front(limit=1, patience=QUICK)
    body = json.dumps({"messages": [], "answer": "stream", "count": 10**9, "text": "x" * 1000})
    with front.client() as client, connect(front) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(HEAD + f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        connection.recv(100)
        before = memory(front)
        response = client.post(CHAT, json={"messages": []})
        assert response.status_code == 200
        assert response.json()["running"] == 1
        assert memory(front) - before < 20_000_000


def test_many_idle_connections_harm_no_one(start_front: StartFront) -> None:
    front = start_front(max_connections=1000)
    with ExitStack() as stack, front.client() as client:
        client.headers["Connection"] = "close"  # one that is kept would be the idlest of all
        client.get("/v1/models")
        before = memory(front)
        idle = [stack.enter_context(connect(front)) for _ in range(2000)]
        for _ in range(20):
            assert client.get("/v1/models").status_code == 200
        assert len(list(Path(f"/proc/{front.process.pid}/fd").iterdir())) < 1100
        assert memory(front) - before < 60_000_000
        idle[0].settimeout(5)
        with suppress(ConnectionResetError):
            assert idle[0].recv(1) == b"", "the oldest has not given way"


def test_more_connections_than_may_be_are_told(start_front: StartFront) -> None:
    front = start_front(max_connections=2)
    body = json.dumps({"messages": [], "answer": "wait", "seconds": 2}).encode()
    with connect(front) as one, connect(front) as other:
        for each in (one, other):
            each.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        time.sleep(0.5)
        status, error = send(front)
        assert (status, error["code"]) == (503, "too_many_connections")
        for each in (one, other):
            assert each.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.fixture
def slow_front(start_front: StartFront) -> Iterator[Front]:
    yield start_front(limit=1, request_timeout=1)


def test_a_request_that_waits_too_long_is_timed_out(slow_front: Front) -> None:
    with slow_front.client() as client, ThreadPoolExecutor(1) as thread:
        body = {"messages": [], "answer": "wait", "seconds": 3}
        first = thread.submit(client.post, CHAT, json=body)
        time.sleep(0.2)
        waited = client.post(CHAT, json={"messages": []})
        for response in (first.result(), waited):
            assert response.status_code in (200, 504)
        assert first.result().status_code == 504
        error = first.result().json()["error"]
        assert (error["code"], error["type"]) == ("timeout", "server_error")
        assert "--request-timeout" in error["message"]


def test_a_stream_that_takes_too_long_ends_with_an_error(slow_front: Front) -> None:
    body = {"messages": [], "answer": "stream", "count": 1000, "gap": 0.05, "stream": True}
    with slow_front.client() as client, client.stream("POST", CHAT, json=body) as response:
        lines = [line for line in response.iter_lines() if line]
    assert response.status_code == 200
    assert lines[0] == 'data: {"piece": 0}'
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "timeout"


def test_the_length_of_the_queue_is_an_option(start_front: StartFront) -> None:
    front = start_front(limit=1, max_queue=2)
    body = {"messages": [], "answer": "wait", "seconds": 1}
    with front.client() as client, ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: client.post(CHAT, json=body).status_code, range(6)))
    assert sorted(found) == [200] * 3 + [429] * 3


class Pipe(asyncio.Transport):
    """A transport that does nothing but end."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted


def test_a_connection_past_the_bound_looks_at_few_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was idle longest is found at once, however many there are."""
    looked: list[Connection] = []
    idle = Connection.idle.fget
    assert idle is not None
    monkeypatch.setattr(
        Connection, "idle", property(lambda each: (looked.append(each), idle(each))[1])
    )
    config = uvicorn.Config(lambda: None, log_config=None)
    config.load()
    loop, state, bounds = asyncio.new_event_loop(), ServerState(), Bounds(500)
    pipes = [Pipe() for _ in range(600)]
    for pipe in pipes:
        made = Connection(config, state, {}, loop, bounds=bounds)
        made.connection_made(pipe)
    assert [pipe.aborted for pipe in pipes] == [True] * 100 + [False] * 500
    assert len(looked) <= 200
    loop.close()
