"""`llamaedge run` with the real model: clients that leave, and a worker that stops."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from .running import USER, Server, running

CHAT = "/v1/chat/completions"
LONG = {"messages": [USER], "max_tokens": 1000, "stream": True, "temperature": 0}


@pytest.fixture(scope="module")
def server(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    options = ("--ctx-size", "1024", "--parallel", "2", "--hang-timeout", "5")
    with running(tmp_path_factory.mktemp("server"), str(smollm2), *options) as server:
        server.wait_ready()
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.wait_ready(), timeout=90, trust_env=False) as client:
        yield client


def total(client: httpx.Client, name: str) -> float:
    """All samples of the metric, added."""
    found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return sum(map(float, found))


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_client_that_leaves_frees_its_sequence(client: httpx.Client, server: Server) -> None:
    """Both slots are taken by clients that leave; the next one need not wait for 1,000 tokens."""
    made = total(client, "llamacpp:tokens_predicted_total")
    with (
        client.stream("POST", CHAT, json=LONG) as one,
        client.stream("POST", CHAT, json=LONG) as other,
    ):
        for stream in (one, other):
            next(stream.iter_lines())
    until(lambda: total(client, "llamaedge_cancellations_total") == 2)
    assert total(client, "llamacpp:requests_processing") == 0
    assert total(client, "llamacpp:tokens_predicted_total") - made < 1000
    response = client.post(CHAT, json={"messages": [USER], "max_tokens": 2})
    assert response.status_code == 200


def test_a_worker_that_is_stopped_is_replaced(client: httpx.Client, server: Server) -> None:
    pid = server.worker()
    os.kill(pid, signal.SIGSTOP)
    response = client.post(CHAT, json={"messages": [USER], "max_tokens": 2})
    assert response.status_code == 200, "the first worker had seen nothing of it"
    assert server.worker() != pid
    assert "the worker process hung for 5 s" in server.terminal.read_text()


def test_a_prompt_that_takes_long_is_no_hang(client: httpx.Client, server: Server) -> None:
    """A request that computes for longer than a hang may last."""
    pid = server.worker()
    began = time.monotonic()
    while time.monotonic() - began < 8:
        body = {"messages": [USER], "max_tokens": 400, "temperature": 0}
        assert client.post(CHAT, json=body).status_code == 200
    assert server.worker() == pid
    assert "hung in" not in server.terminal.read_text()
