"""`llamaedge run --guest` with LlamaEdge's own server, where its folder is named."""

import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from .running import START, USER, Server, running

VARIABLE = "LLAMAEDGE_OFFICIAL_GUESTS"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, smollm2: Path, module_cache: Path
) -> Iterator[Server]:
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} names no folder with official guests")
    guest = str(Path(folder, "llama-api-server.wasm"))
    with running(
        tmp_path_factory.mktemp("server"), "--guest", guest, "--instances", "2",
        "--ctx-size", "512", "--n-predict", "24", threads=None,
    ) as server:  # fmt: skip
        server.wait_ready()
        yield server


@pytest.fixture
def two(tmp_path: Path, smollm2: Path, module_cache: Path) -> Iterator[Server]:
    """Two models, each with an official server of its own."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} names no folder with official guests")
    with running(
        tmp_path, "--guest", str(Path(folder, "llama-api-server.wasm")),
        "--nn-preload", f"a:GGML:AUTO:{smollm2}", "--nn-preload", f"b:GGML:AUTO:{smollm2}",
        "--ctx-size", "256", "--n-predict", "8", "--models-max", "1", threads=None,
    ) as server:  # fmt: skip
        yield server


def chat(server: Server, **fields: Any) -> httpx.Response:
    body = {"model": "default", "messages": [USER], **fields}
    return httpx.post(f"{server.wait_ready()}/v1/chat/completions", json=body, timeout=START)


def test_it_lists_its_model(server: Server) -> None:
    models = httpx.get(f"{server.wait_ready()}/v1/models").json()
    assert models["data"][0]["id"].startswith("default")


def test_clients_at_once_are_answered_by_two_of_it(server: Server) -> None:
    with ThreadPoolExecutor(5) as threads:
        answers = list(threads.map(lambda _: chat(server), range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert all(answer.json()["choices"][0]["message"]["content"] for answer in answers)


def test_a_request_that_kills_it_is_a_502_and_it_is_replaced(server: Server) -> None:
    tool = {"role": "tool", "tool_call_id": "x", "content": "this one knows no tools"}
    assert chat(server, messages=[tool]).status_code == 502
    deadline = time.monotonic() + START
    url = server.wait_ready()
    while httpx.get(f"{url}/health").json() != {"status": "ready", "guests": 2}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert chat(server).status_code == 200
    text = server.terminal.read_text()
    assert re.search(r"\[warning\] the guest llama-api-server.wasm trapped: .*; starting", text)


def test_its_plain_errors_become_error_objects(server: Server) -> None:
    response = httpx.get(f"{server.wait_ready()}/v1/nothing")
    assert response.status_code == 404
    assert "/v1/nothing" in response.json()["error"]["message"]


def test_several_models_have_a_server_each_and_one_may_be_loaded(two: Server) -> None:
    two.wait_ready()
    first = two.workers()
    for name in ("a", "b", "a"):
        answer = chat(two, model=name)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"]
    assert chat(two, model="c").status_code == 404
    assert not set(first) & set(two.workers())
