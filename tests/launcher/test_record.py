"""A request's id and its line in the log, before a scripted guest (fake_worker.py)."""

import re
import time

import httpx
import pytest

from .conftest import Front, StartFront

CHAT = "/v1/chat/completions"


def line(front: Front, wanted: str) -> str:
    """The first line of the log that has ``wanted``."""
    deadline = time.monotonic() + 5
    while True:
        for each in front.log.read_text().splitlines():
            if wanted in each:
                return each
        assert time.monotonic() < deadline, front.log.read_text()
        time.sleep(0.02)


def test_a_request_gets_an_id(client: httpx.Client, front: Front) -> None:
    response = client.get("/v1/info")
    id_ = response.headers["x-request-id"]
    assert re.fullmatch(r"req_[0-9a-f]{32}", id_)
    assert response.json()["headers"]["x-request-id"] == id_
    assert client.get("/v1/info").headers["x-request-id"] != id_
    assert line(front, id_)


def test_a_clients_own_id_is_kept(client: httpx.Client, front: Front) -> None:
    response = client.get("/v1/nothing", headers={"X-Request-Id": "mine-1.2:3"})
    assert response.headers.get_list("x-request-id") == ["mine-1.2:3"]
    assert "404" in line(front, "mine-1.2:3")


@pytest.mark.parametrize("id_", ["", "a b", "x" * 129, "ü", "a\tb"])
def test_an_id_that_would_spoil_a_line_is_replaced(client: httpx.Client, id_: str) -> None:
    response = client.get("/v1/info", headers={"X-Request-Id": id_.encode()})
    assert response.headers["x-request-id"].startswith("req_")
    assert response.json()["headers"]["x-request-id"] == response.headers["x-request-id"]


def test_a_guests_id_goes_no_further(client: httpx.Client) -> None:
    body = {"messages": [], "answer": "plain_error", "status": 200, "head": "X-Request-Id: g\r\n"}
    ids = client.post(CHAT, json=body).headers.get_list("x-request-id")
    assert len(ids) == 1
    assert ids[0] != "g"


def test_a_line_tells_tokens_and_times(client: httpx.Client, front: Front) -> None:
    usage = {"prompt_tokens": 31, "completion_tokens": 6, "total_tokens": 37}
    body = {"messages": [], "answer": "echo", "usage": usage, "content": "x"}
    id_ = client.post(CHAT, json=body).headers["x-request-id"]
    told = rf"127.0.0.1 POST {CHAT} 200, 31 \+ 6 tokens, [0-9.]+ s, {id_}$"
    assert re.search(told, line(front, id_))


def test_a_streams_line_tells_its_first_token(client: httpx.Client, front: Front) -> None:
    body = {"messages": [], "answer": "stream", "count": 5, "text": "hi"}
    id_ = client.post(CHAT, json=body).headers["x-request-id"]
    assert re.search(r" 200, 5 tokens, first [0-9.]+ s, [0-9.]+ s, ", line(front, id_))


def test_a_path_cannot_forge_a_line(client: httpx.Client, front: Front) -> None:
    client.get("/v1/x%0a[info]%1b[2Jforged")
    assert "/v1/x%0a[info]%1b[2Jforged 404" in line(front, "forged")


def test_what_machines_ask_for_is_quiet(start_front: StartFront) -> None:
    front = start_front()
    with front.client() as client:
        client.get("/health")
        client.get("/v1/info")
    line(front, "/v1/info")
    assert "/health" not in front.log.read_text()


def test_a_client_that_goes_away_is_told(front: Front) -> None:
    headers = {"X-Request-Id": "leaves"}
    body = {"messages": [], "answer": "stream", "count": 10_000, "gap": 0.02}
    with (
        front.client() as client,
        client.stream("POST", CHAT, json=body, headers=headers) as response,
    ):
        next(response.iter_lines())
    assert f"{CHAT} 200 cut off, " in line(front, "leaves")
