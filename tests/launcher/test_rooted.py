"""The public server behind a reverse proxy."""

import json
import re
import time

import pytest
from websockets.sync.client import connect

from .conftest import Front, StartFront


@pytest.mark.parametrize("prefix", ["/llm", ""])
def test_a_proxy_may_keep_its_prefix_or_take_it_off(start_front: StartFront, prefix: str) -> None:
    front = start_front(root_path="/llm", keys=["k"])
    with front.client() as client:
        assert client.get(f"{prefix}/health").status_code == 200
        assert client.get(f"{prefix}/v1/info").status_code == 401
        shown = {"Authorization": "Bearer k"}
        response = client.get(f"{prefix}/v1/info?x=1", headers=shown)
        assert response.status_code == 200
        assert response.json()["line"] == "GET /v1/info?x=1 HTTP/1.1"
        assert client.get(f"{prefix}/nothing", headers=shown).status_code == 404
        response = client.get(f"{prefix}/v1/info/", headers=shown)
        if response.is_redirect:
            assert response.headers["location"] == f"{front.url}/llm/v1/info"


@pytest.mark.parametrize("prefix", ["/llm", ""])
def test_so_may_it_for_websockets(start_front: StartFront, prefix: str) -> None:
    front = start_front(root_path="/llm", keys=["k"])
    address = f"ws://127.0.0.1:{front.port}{prefix}/v1/chat/completions"
    with connect(address, proxy=None, additional_headers={"X-Api-Key": "k"}) as ws:
        ws.send(json.dumps({"messages": [], "stream": True, "answer": "stream", "count": 1}))
        assert [json.loads(ws.recv(timeout=20)), ws.recv(timeout=20)] == [{"piece": 0}, "[DONE]"]


def test_a_path_that_only_begins_alike_is_another(start_front: StartFront) -> None:
    with start_front(root_path="/llm").client() as client:
        assert client.get("/llms/health").status_code == 404


def clients(front: Front) -> set[str]:
    deadline = time.monotonic() + 5
    while not (found := set(re.findall(r"\[info\] (\S+) GET /v1/info", front.log.read_text()))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.mark.parametrize(
    ("trusted", "client_address"),
    [
        ("", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.7"),
        ("10.0.0.0/8", "127.0.0.1"),
        ("*", "203.0.113.7"),
    ],
)
def test_only_trusted_proxies_say_who_asks(
    start_front: StartFront, trusted: str, client_address: str
) -> None:
    front = start_front(forwarded=trusted)
    with front.client() as client:
        client.get("/v1/info", headers={"X-Forwarded-For": "203.0.113.7"})
    assert clients(front) == {client_address}
