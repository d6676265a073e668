"""The public server before a scripted guest (fake_worker.py)."""

import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from llamaedge_launcher.settings import MAX_QUEUE

from .conftest import Front, StartFront

CHAT = "/v1/chat/completions"


def asking(**fields: Any) -> dict[str, Any]:
    """A request that the proxy lets through."""
    return {"messages": [], **fields}


def chat(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post(CHAT, json=asking(**body))


def error(response: httpx.Response) -> dict[str, Any]:
    """The error object, whose shape is always whole."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert isinstance(body["error"]["message"], str)
    found: dict[str, Any] = body["error"]
    return found


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "message"),
    [
        ("GET", "/nothing", b"", 404, "nothing at /nothing"),
        ("GET", "/v1/nothing?x=1", b"", 404, "nothing at /v1/nothing"),
        ("GET", "/v1/info/../../etc/passwd", b"", 404, "nothing at"),
        ("GET", CHAT, b"", 405, f"{CHAT} does not take GET"),
        ("PUT", "/v1/info", b"", 405, "/v1/info does not take PUT"),
        ("PATCH", "/v1/info", b"", 405, "/v1/info does not take PATCH"),
        ("POST", CHAT, b"", 400, "not a JSON object: it is empty"),
        ("POST", CHAT, b"{", 400, "at line 1 column 2"),
        ("POST", CHAT, b"[]", 400, "it must be an object"),
        ("POST", CHAT, b"3", 400, "it must be an object"),
        ("POST", CHAT, b'{"a": NaN}', 400, "NaN is not JSON"),
        ("POST", CHAT, b'{"a": "\n"}', 400, "Invalid control character at line 1 column 8"),
        ("POST", CHAT, b'{"a": "\xff"}', 400, "not UTF-8 at byte 7"),
        ("POST", CHAT, b"[" * 100_000, 400, "not a JSON object"),
        ("POST", CHAT, b'{"a": ' + b"9" * 10_000 + b"}", 400, "not a JSON object"),
        ("POST", CHAT, b"{}", 400, "the request has no 'messages'"),
        ("POST", "/v1/completions", b"{}", 400, "the request has no 'prompt'"),
        ("POST", "/v1/embeddings", b"{}", 400, "the request has no 'input'"),
        ("POST", "/v1/completions", b"nonsense", 400, "not a JSON object"),
        ("POST", "/v1/embeddings", b"nonsense", 400, "not a JSON object"),
        ("POST", CHAT, b'{"messages": [], "answer": "garbage"}', 502, "not HTTP"),
    ],
)
def test_an_error_is_openais_object(
    client: httpx.Client, method: str, path: str, content: bytes, status: int, message: str
) -> None:
    response = client.request(method, path, content=content)
    assert response.status_code == status
    assert message in error(response)["message"]


def test_a_wrong_method_is_told_the_right_ones(client: httpx.Client) -> None:
    assert client.get(CHAT).headers["allow"] == "OPTIONS, POST"
    assert client.put("/v1/info").headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "a/json"])
def test_a_body_of_another_type_is_refused(client: httpx.Client, kind: str) -> None:
    response = client.post(CHAT, content=b'{"messages": []}', headers={"Content-Type": kind})
    assert response.status_code == 415
    assert "application/json" in error(response)["message"]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"]
)
def test_a_body_of_any_json_type_is_taken(client: httpx.Client, kind: str) -> None:
    response = client.post(CHAT, content=b'{"messages": []}', headers={"Content-Type": kind})
    assert response.status_code == 200


def test_a_guests_error_object_is_passed_on(client: httpx.Client) -> None:
    response = chat(client, answer="json_error")
    assert response.status_code == 422
    assert response.json() == {"error": {"message": "mine"}}


@pytest.mark.parametrize(
    ("status", "head", "name"),
    [
        (429, "Retry-After: 7", "retry-after"),
        (401, 'WWW-Authenticate: Basic realm="x"', "www-authenticate"),
        (405, "Allow: PATCH", "allow"),
        (500, "X-Own: 1", "x-own"),
    ],
)
def test_a_guests_plain_error_is_passed_on(
    client: httpx.Client, status: int, head: str, name: str
) -> None:
    lines = f"{head}\r\nContent-Type: text/plain\r\nContent-Language: tlh\r\n"
    response = chat(client, answer="plain_error", status=status, head=lines)
    assert response.status_code == status
    assert response.text == "no luck\r\n"
    assert response.headers[name] == head.partition(": ")[2]
    assert response.headers["content-language"] == "tlh"


def test_the_request_reaches_the_guest_whole_but_for_its_hops(client: httpx.Client) -> None:
    response = client.post(
        CHAT + "?a=%2F&b=ä",
        content=b'{"messages": "\xc3\xa4"}',
        headers={"X-Own": "1", "Authorization": "Bearer x", "TE": "trailers", "Expect": "nothing"},
    )
    seen = response.json()
    assert seen["line"] == f"POST {CHAT}?a=%2F&b=%C3%A4 HTTP/1.1"
    assert seen["body"] == '{"messages": "ä"}'
    assert seen["headers"]["x-own"] == "1"
    assert seen["headers"]["authorization"] == "Bearer x"
    assert seen["headers"]["content-length"] == "18"
    assert seen["headers"]["connection"] == "close"
    assert not {"te", "expect", "transfer-encoding", "accept-encoding"} & set(seen["headers"])
    assert response.headers["x-guest"] == "fake"
    assert "close" not in response.headers.get("connection", "")


def test_a_chunked_body_reaches_the_guest_with_its_length(client: httpx.Client) -> None:
    response = client.post(CHAT, content=iter([b'{"messages":', b" 1}"]))
    assert response.json()["body"] == '{"messages": 1}'
    assert response.json()["headers"]["content-length"] == "15"


def test_head_is_get_without_the_body(client: httpx.Client) -> None:
    response = client.head("/v1/info")
    assert response.status_code == 200
    assert response.content == b""


def test_a_body_that_is_too_large_is_refused_before_it_is_read(front: Front) -> None:
    with socket.create_connection(("127.0.0.1", front.port)) as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_stream_comes_frame_by_frame(client: httpx.Client) -> None:
    body = asking(answer="stream", count=5, gap=0.1)
    arrivals = []
    with client.stream("POST", CHAT, json=body) as response:
        assert response.headers["content-type"] == "text/event-stream"
        for line in response.iter_lines():
            if line:
                arrivals.append((time.monotonic(), line))
    assert [line for _, line in arrivals] == [
        *(f'data: {{"piece": {number}}}' for number in range(5)),
        "data: [DONE]",
    ]
    gaps = [b - a for (a, _), (b, _) in pairwise(arrivals)]
    assert min(gaps) > 0.05, "frames were held back"


def test_a_stream_whose_guest_ends_is_ended_by_an_error_frame(client: httpx.Client) -> None:
    with client.stream("POST", CHAT, json=asking(answer="stream", cut_after=1)) as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[:2] == ['data: {"piece": 0}', 'data: {"piece": 1}']
    assert json.loads(lines[2].removeprefix("data: "))["error"]["code"] == "guest_ended"
    assert len(lines) == 3


def test_another_answer_that_is_cut_off_is_seen_as_such(client: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        chat(client, answer="cut")


def test_a_client_that_goes_away_stops_the_guest(client: httpx.Client, front: Front) -> None:
    dropped = chat(client).json()["dropped"]
    with (
        front.client() as other,
        other.stream("POST", CHAT, json=asking(answer="stream", count=10_000, gap=0.02)) as it,
    ):
        next(it.iter_lines())
    deadline = time.monotonic() + 1
    while chat(client).json()["dropped"] == dropped:
        assert time.monotonic() < deadline, "the guest still writes"
        time.sleep(0.02)


def test_health_says_ready(client: httpx.Client) -> None:
    response = client.get("/health")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "guests": 1}


def test_the_log_is_one_line_a_request_without_a_traceback(
    client: httpx.Client, front: Front
) -> None:
    client.get("/v1/info")
    with pytest.raises(httpx.RemoteProtocolError):
        chat(client, answer="cut")
    log = front.log.read_text()
    assert "Traceback" not in log
    assert re.search(r"\[info\] 127.0.0.1 GET /v1/info 200, [0-9.]+ s, req_[0-9a-f]+\n", log)
    assert f"POST {CHAT} 200 cut off, " in log


def test_a_guest_of_one_request_never_has_two(start_front: StartFront) -> None:
    front = start_front(limit=1)
    with front.client() as client, ThreadPoolExecutor(8) as threads:
        bodies = [asking(answer="wait", seconds=0.02), asking(answer="stream")] * 8
        statuses = list(threads.map(lambda body: client.post(CHAT, json=body).status_code, bodies))
        assert statuses == [200] * 16
        assert client.get("/v1/info").json()["most"] == 1


def test_a_client_that_goes_away_while_it_waits_frees_its_place(start_front: StartFront) -> None:
    front = start_front(limit=1)
    with front.client() as client:
        slow = threading.Thread(target=chat, args=(client,), kwargs={"answer": "wait"})
        slow.start()
        time.sleep(0.05)
        with pytest.raises(httpx.ReadTimeout):
            client.post(CHAT, json=asking(answer="wait", seconds=5), timeout=0.05)
        started = time.monotonic()
        assert chat(client).status_code == 200
        assert time.monotonic() - started < 1
        slow.join()


def test_requests_are_spread_over_instances(start_front: StartFront) -> None:
    front = start_front(limit=1, instances=3)
    with front.client() as client, ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda _: chat(client, answer="wait").json(), range(3)))
        assert len({each["path"] for each in answers}) == 3


def test_other_guests_may_serve_paths_of_their_own(start_front: StartFront) -> None:
    front = start_front(limit=1, known_only=False)
    with front.client() as client:
        assert client.get("/index.html").json()["line"] == "GET /index.html HTTP/1.1"
        assert client.post("/v1/rag", content=b"any").json()["body"] == "any"
        assert client.put("/v1/info").status_code == 405
        for path in ("/..%2fsecret", "/a/%2e%2e/b", "/..%5cb"):
            assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /v1/info HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /v1/info HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"GET \0 HTTP/1.1\r\n\r\n",
        b"GET //%ff%00?%zz=\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/info HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_bytes_that_are_no_request_harm_nothing(
    client: httpx.Client, front: Front, sent: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", front.port)) as connection:
        connection.settimeout(0.3)
        try:
            connection.sendall(sent)
            answer = connection.recv(65536)
        except (TimeoutError, ConnectionError):
            answer = b""
    assert re.match(rb"$|HTTP/1.1 4\d\d ", answer)
    if answer:
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]
    assert client.get("/v1/info").status_code == 200
    assert "Traceback" not in front.log.read_text()


def test_nothing_is_left_of_a_request(client: httpx.Client, front: Front) -> None:
    def request(other: httpx.Client, number: int) -> None:
        kinds = ("echo", "stream", "cut", "garbage", "plain_error", "leave")
        kind = kinds[number % len(kinds)]
        body = asking(answer="stream" if kind == "leave" else kind, gap=0.01)
        with (
            suppress(httpx.RemoteProtocolError),
            other.stream("POST", CHAT, json=body) as response,
        ):
            if kind != "leave":
                response.read()

    def descriptors() -> int:
        return len(list(Path(f"/proc/{front.process.pid}/fd").iterdir()))

    chat(client)
    before = descriptors()
    with front.client() as other, ThreadPoolExecutor(8) as threads:
        list(threads.map(partial(request, other), range(240)))
    deadline = time.monotonic() + 5
    while descriptors() > before + 1:
        assert time.monotonic() < deadline, f"{descriptors()} descriptors, {before} before"
        time.sleep(0.05)
    while chat(client).json()["running"] > 1:
        assert time.monotonic() < deadline, "the guest still answers somebody"
        time.sleep(0.05)


def test_more_requests_than_may_wait_are_refused(start_front: StartFront) -> None:
    front = start_front(limit=1)

    def request(**fields: Any) -> socket.socket:
        body = json.dumps(asking(**fields)).encode()
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        connection = socket.create_connection(("127.0.0.1", front.port))
        connection.sendall(head.encode() + body)
        return connection

    def answer(connection: socket.socket) -> bytes:
        with connection:
            return connection.recv(65536)

    with request(answer="wait", seconds=60):
        connections = [request() for _ in range(MAX_QUEUE + 5)]
        refused = [answer(each) for each in connections[MAX_QUEUE:]]
    answered = [answer(each) for each in connections[:MAX_QUEUE]]
    assert [each[9:12] for each in answered] == [b"200"] * MAX_QUEUE
    assert [each[9:12] for each in refused] == [b"429"] * 5
    assert all(b"\r\nRetry-After: 1\r\n" in each for each in refused)
