"""Chat over WebSocket, before a scripted guest (fake_worker.py)."""

import json
import re
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from llamaedge_launcher.proxy.websocket import MAX_UNDER_WAY
from llamaedge_launcher.settings import MAX_BODY_SIZE

from .conftest import Front, StartFront

CHAT = "/v1/chat/completions"
PAGE = "https://chat.example.com"
LONG = {"answer": "stream", "count": 100_000, "gap": 0.005}


def open_socket(front: Front, path: str = CHAT, **options: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{front.port}{path}", proxy=None, **options)


@pytest.fixture
def ws(front: Front) -> Iterator[ClientConnection]:
    with open_socket(front) as connection:
        yield connection


def say(ws: ClientConnection, **fields: Any) -> None:
    ws.send(json.dumps(fields))


def ask(ws: ClientConnection, **fields: Any) -> None:
    say(ws, messages=[], **fields)


def hear(ws: ClientConnection) -> Any:
    """The next frame, from JSON if it is."""
    frame = ws.recv(timeout=20)
    assert isinstance(frame, str)
    return frame if frame == "[DONE]" else json.loads(frame)


def pieces(ws: ClientConnection) -> list[int]:
    """The pieces of a stream that ends."""
    found = []
    while (frame := hear(ws)) != "[DONE]":
        found.append(frame["piece"])
    return found


def until(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(client: httpx.Client) -> int:
    """The requests that the guest has, but for this one."""
    number: int = client.get("/v1/info").json()["running"]
    return number - 1


def test_a_stream_is_a_frame_a_chunk(ws: ClientConnection) -> None:
    ask(ws, answer="stream", stream=True)
    assert pieces(ws) == [0, 1, 2, 3, 4]
    ask(ws, answer="stream", stream=True, count=2)
    assert pieces(ws) == [0, 1]


def test_without_stream_the_answer_is_one_frame(ws: ClientConnection) -> None:
    ask(ws, answer="echo", mark="m")
    answer = hear(ws)
    assert answer["line"] == f"POST {CHAT} HTTP/1.1"
    assert answer["headers"]["content-type"] == "application/json"
    assert answer["mark"] == "m"
    ask(ws, answer="echo", request_id="r")
    assert hear(ws)["request_id"] == "r"


def test_requests_without_an_id_are_answered_in_order(ws: ClientConnection) -> None:
    ask(ws, answer="wait", seconds=0.2, mark=1)
    ask(ws, answer="stream", stream=True, count=2)
    ask(ws, answer="echo", mark=2)
    assert hear(ws)["mark"] == 1
    assert pieces(ws) == [0, 1]
    assert hear(ws)["mark"] == 2


def test_requests_with_ids_are_answered_at_once(ws: ClientConnection) -> None:
    for id_, gap in (("slow", 0.2), ("quick", 0.0)):
        ask(ws, answer="stream", stream=True, count=3, gap=gap, request_id=id_)
    heard: dict[str, list[Any]] = {"slow": [], "quick": []}
    ended = []
    while len(ended) < 2:
        frame = hear(ws)
        id_ = frame.pop("request_id")
        heard[id_].append(frame)
        if frame == {"type": "done"}:
            ended.append(id_)
    assert ended == ["quick", "slow"]
    for frames in heard.values():
        assert frames == [{"piece": 0}, {"piece": 1}, {"piece": 2}, {"type": "done"}]


def test_cancel_stops_the_answer_and_the_guest(ws: ClientConnection, client: httpx.Client) -> None:
    ask(ws, stream=True, **LONG)
    ask(ws, answer="echo", mark="next")
    assert hear(ws) == {"piece": 0}
    say(ws, type="cancel")
    pieces(ws)
    assert hear(ws)["mark"] == "next"
    until(lambda: running(client) == 0)
    say(ws, type="cancel")
    ask(ws, answer="echo", mark="last")
    assert hear(ws)["mark"] == "last"


def test_cancel_by_an_id_stops_no_other(ws: ClientConnection) -> None:
    ask(ws, stream=True, request_id="a", **LONG)
    ask(ws, stream=True, request_id="b", answer="stream", count=20, gap=0.02)
    say(ws, type="cancel", request_id="a")
    say(ws, type="cancel", request_id="nobody")
    heard: dict[str, list[Any]] = {"a": [], "b": []}
    while {"type": "done"} not in heard["b"]:
        frame = hear(ws)
        heard[frame.pop("request_id")].append(frame)
    assert heard["a"][-1] == {"type": "done"}
    assert heard["b"] == [*({"piece": number} for number in range(20)), {"type": "done"}]


def test_a_client_that_goes_away_frees_the_guest(front: Front, client: httpx.Client) -> None:
    with open_socket(front) as ws:
        for id_ in ("a", "b"):
            ask(ws, stream=True, request_id=id_, **LONG)
        ask(ws, stream=True, **LONG)
        ask(ws, stream=True, **LONG)
        until(lambda: running(client) == 3)
    until(lambda: running(client) == 0)


@pytest.mark.parametrize(
    ("frame", "status", "message"),
    [
        ("", 400, "it is empty"),
        ("{", 400, "the body is not a JSON object"),
        ("[]", 400, "it must be an object"),
        (b"{}", 400, "binary"),
        ('{"model": "m"}', 400, "no 'messages'"),
        ('{"type": "chat", "messages": []}', 400, "can only be 'cancel'"),
        ('{"type": "cancel", "request_id": 5}', 400, "1 to 128 letters"),
        ('{"messages": [], "request_id": ""}', 400, "1 to 128 letters"),
        ('{"messages": [], "request_id": "a\\nb"}', 400, "1 to 128 letters"),
        ('{"messages": [], "answer": "plain_error"}', 500, "no luck"),
        ('{"messages": [], "answer": "json_error"}', 422, "mine"),
        ('{"messages": [], "answer": "garbage"}', 502, "not HTTP"),
    ],
)
def test_an_error_is_an_error_object(
    ws: ClientConnection, frame: str | bytes, status: int, message: str
) -> None:
    ws.send(frame)
    answer = hear(ws)
    assert answer["status"] == status
    assert message in answer["error"]["message"]
    ask(ws, answer="stream", stream=True, count=1)
    assert pieces(ws) == [0]


def test_an_error_in_a_stream_ends_it(ws: ClientConnection) -> None:
    ask(ws, answer="stream", stream=True, cut_after=1, request_id="r")
    assert [hear(ws) for _ in range(2)] == [{"request_id": "r", "piece": n} for n in range(2)]
    last = hear(ws)
    assert last["request_id"] == "r"
    assert last["error"]["code"] == "guest_ended"
    ask(ws, answer="echo", request_id="r")
    assert hear(ws)["request_id"] == "r"


def test_a_refused_request_keeps_its_id(ws: ClientConnection) -> None:
    say(ws, request_id="r", model="m")
    assert hear(ws)["request_id"] == "r"
    say(ws, request_id="r", type="what")
    assert hear(ws)["request_id"] == "r"


def test_an_id_in_use_is_refused_without_it(ws: ClientConnection) -> None:
    ask(ws, answer="wait", seconds=0.3, request_id="r")
    ask(ws, answer="echo", request_id="r")
    error = hear(ws)
    assert "request_id" not in error
    assert error["error"]["param"] == "request_id"
    assert hear(ws)["request_id"] == "r"


def test_requests_under_way_are_bounded(ws: ClientConnection) -> None:
    for number in range(MAX_UNDER_WAY + 1):
        ask(ws, answer="wait", seconds=0.5, request_id=str(number))
    refused = hear(ws)
    assert (refused["request_id"], refused["status"]) == (str(MAX_UNDER_WAY), 429)
    assert refused["retry_after"] == 1
    assert {hear(ws)["request_id"] for _ in range(MAX_UNDER_WAY)} == set(
        map(str, range(MAX_UNDER_WAY))
    )


def test_a_frame_that_is_too_large_closes(front: Front) -> None:
    with socket.create_connection(("127.0.0.1", front.port)) as raw:
        raw.sendall(handshake())
        assert raw.recv(65536).startswith(b"HTTP/1.1 101 ")
        raw.sendall(b"\x81\xff" + struct.pack("!Q", MAX_BODY_SIZE + 1) + b"mask")
        assert read_all(raw)[2:4] == struct.pack("!H", 1009)


def test_text_that_is_not_utf8_closes_without_a_trace(front: Front) -> None:
    with open_socket(front) as ws:
        with pytest.raises(ConnectionClosed) as closed:
            ws.send(b"\xff", text=True)
            ws.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1007
    assert "Traceback" not in front.log.read_text()


def refusal(front: Front, path: str = CHAT, **options: Any) -> tuple[int, Any]:
    with pytest.raises(InvalidStatus) as refused:
        open_socket(front, path, **options)
    response = refused.value.response
    assert response.headers["content-type"] == "application/json"
    return response.status_code, json.loads(response.body)["error"]


def test_only_chat_is_served(front: Front) -> None:
    status, error = refusal(front, "/v1/completions")
    assert (status, error["code"]) == (404, "unknown_url")


@pytest.mark.parametrize(
    "shown",
    [
        {"additional_headers": {"Authorization": "Bearer k/=y"}},
        {"additional_headers": {"X-Api-Key": "k/=y"}},
        {"subprotocols": ["llamaedge", "bearer.k%2F%3Dy"]},
        {"subprotocols": ["bearer.other", "bearer.k%2f%3Dy", "llamaedge"]},
    ],
)
def test_a_key_lets_in(start_front: StartFront, shown: dict[str, Any]) -> None:
    front = start_front(keys=("k/=y",))
    status, error = refusal(front)
    assert (status, error["code"]) == (401, "invalid_api_key")
    status, error = refusal(front, subprotocols=["llamaedge", "bearer.k"])
    assert (status, error["code"]) == (401, "invalid_api_key")
    with open_socket(front, **shown) as ws:
        assert ws.subprotocol == ("llamaedge" if "subprotocols" in shown else None)
        ask(ws, answer="echo")
        assert "k/=y" not in json.dumps(hear(ws))
    assert "k%2" not in front.log.read_text()


@pytest.mark.parametrize("keys", [(), ("k",)])
def test_pages_are_let_in_by_their_origin(start_front: StartFront, keys: tuple[str, ...]) -> None:
    front = start_front(keys=keys, origins=(PAGE,))
    key = {"X-Api-Key": "k"}
    for origin in (PAGE, front.url):
        with open_socket(front, origin=origin, additional_headers=key) as ws:
            ask(ws, answer="echo", mark=1)
            assert hear(ws)["mark"] == 1
    status, error = refusal(front, origin="https://other.org", additional_headers=key)
    assert (status, error["code"]) == (403, "origin_not_allowed")


def test_another_host_is_refused(front: Front) -> None:
    with socket.create_connection(("127.0.0.1", front.port)) as raw:
        raw.sendall(handshake(Host="rebound.example.com"))
        assert b"host_not_allowed" in read_all(raw)


def handshake(start: str = f"GET {CHAT} HTTP/1.1", **headers: str) -> bytes:
    given = {
        "Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in (given | headers).items()]
    return "\r\n".join([start, *lines, "", ""]).encode()


def read_all(raw: socket.socket) -> bytes:
    raw.settimeout(20)
    data = b""
    while part := raw.recv(65536):
        data += part
    return data


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (handshake(f"POST {CHAT} HTTP/1.1"), 405),
        (handshake(Sec_WebSocket_Key="short"), 400),
        (handshake(Sec_WebSocket_Version="8"), 400),
        (handshake(**{f"X-{n}": "v" for n in range(300)}), 431),
        (handshake(X="v" * 10_000), 431),
    ],
)
def test_a_broken_handshake_is_refused(front: Front, request_: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", front.port)) as raw:
        raw.sendall(request_)
        head, _, body = read_all(raw).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/json" in head.lower()
    assert json.loads(body)["error"]["message"]
    assert "Traceback" not in front.log.read_text()


def test_answers_under_way_are_finished_before_the_end(start_front: StartFront) -> None:
    front = start_front()
    with open_socket(front) as idle, open_socket(front) as ws:
        ask(ws, answer="stream", stream=True, count=20, gap=0.05)
        assert hear(ws) == {"piece": 0}
        front.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            idle.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        ask(ws, answer="echo", request_id="late")
        rest = [frame for frame in heard_until_closed(ws) if frame != "[DONE]"]
    late = [frame for frame in rest if "error" in frame]
    assert [(frame["request_id"], frame["status"]) for frame in late] == [("late", 503)]
    assert [frame["piece"] for frame in rest if frame not in late] == list(range(1, 20))
    assert front.process.wait(timeout=20) == 0


def heard_until_closed(ws: ClientConnection) -> list[Any]:
    found = []
    try:
        while True:
            found.append(hear(ws))
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        assert closed.rcvd.code == 1001
    return found


def test_a_second_signal_ends_answers_at_once(start_front: StartFront) -> None:
    front = start_front()
    with open_socket(front, close_timeout=1) as ws:
        ask(ws, stream=True, **LONG)
        hear(ws)
        front.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        front.process.send_signal(signal.SIGTERM)
        assert front.process.wait(timeout=20) == 0
    assert "Traceback" not in front.log.read_text()


def test_each_request_is_a_line_and_is_counted(start_front: StartFront) -> None:
    front = start_front()
    with open_socket(front) as ws:
        ask(ws, answer="stream", stream=True, count=3, text="x", request_id="mine")
        while hear(ws) != {"type": "done", "request_id": "mine"}:
            pass
        assert "x-request-id" in (ws.response.headers if ws.response else {})
    told = rf"127.0.0.1 WS {CHAT} 200, 3 tokens, first [0-9.]+ s, [0-9.]+ s, mine$"
    until(lambda: re.search(told, front.log.read_text(), re.MULTILINE) is not None)
    opened = rf"127.0.0.1 GET {CHAT} 101, [0-9.]+ s, req_[0-9a-f]+$"
    until(lambda: re.search(opened, front.log.read_text(), re.MULTILINE) is not None)
    with front.client() as client:
        counted = client.get("/metrics").text
    line = f'llamaedge_requests_total{{method="WS",route="{CHAT}",status="200"}} 1.0'
    assert line in counted.replace('",', '",').splitlines()
    first = f'llamaedge_first_token_seconds_count{{route="{CHAT}"}} 1.0'
    assert first in counted.splitlines(), counted
