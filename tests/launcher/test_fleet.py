"""Several models behind one public server, with scripted workers (fake_worker.py)."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from .conftest import Front, StartFront

CHAT = "/v1/chat/completions"
THREE = {"small": "serve", "embed": "serve"}


def worker(client: httpx.Client, path: str = CHAT, **fields: Any) -> int:
    """The process that answers a request with ``fields``."""
    body = {"messages": [], "input": "", "prompt": "", **fields}
    return int(client.post(path, json=body).raise_for_status().json()["pid"])


def until(
    client: httpx.Client, path: str, holds: Callable[[dict[str, Any]], bool]
) -> httpx.Response:
    """The first answer from ``path`` that is as asked for."""
    deadline = time.monotonic() + 20
    while not holds((response := client.get(path)).json()):
        assert time.monotonic() < deadline, response.text
        time.sleep(0.02)
    return response


def test_a_request_goes_to_the_model_that_it_names(start_front: StartFront) -> None:
    with start_front(models=THREE).client() as client:
        found = {name: worker(client, model=name) for name in ("default", "small", "embed")}
        assert len(set(found.values())) == 3
        assert worker(client, model="acme/small") == found["small"]
        assert worker(client) == worker(client, model=None) == found["default"]
        assert worker(client, "/v1/embeddings") == found["embed"]
        assert worker(client, "/v1/embeddings", model="small") == found["small"]
        assert client.get("/v1/info").json()["pid"] == found["default"]


def test_any_name_is_the_one_models(start_front: StartFront) -> None:
    with start_front().client() as client:
        assert worker(client, model="gpt-4") == worker(client, "/v1/embeddings", model="gpt-4")


def test_of_several_an_unknown_name_is_none(start_front: StartFront) -> None:
    with start_front(models=THREE).client() as client:
        response = client.post(CHAT, json={"messages": [], "model": "gpt-4"})
    assert response.status_code == 404
    assert response.json()["error"] == {
        "message": "The model 'gpt-4' does not exist; this server has default, small, embed.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }


def test_what_only_a_guest_knows_goes_to_the_model_that_it_names(start_front: StartFront) -> None:
    with start_front(models=THREE, known_only=False).client() as client:
        assert worker(client, "/v1/own", model="small") == worker(client, model="small")
        pid = client.post("/v1/own", content=b" {no").json()["pid"]
        assert pid == worker(client)


def test_the_models_are_listed(start_front: StartFront) -> None:
    with start_front(models=THREE).client() as client:
        body = client.get("/v1/models").json()
    assert [each["id"] for each in body["data"]] == ["default", "small", "embed"]
    assert {(each["object"], each["owned_by"]) for each in body["data"]} == {
        ("model", "Not specified")
    }
    assert [(each["name"], each["capabilities"]) for each in body["models"]] == [
        ("default", ["completion"]),
        ("small", ["completion"]),
        ("embed", ["embedding"]),
    ]


def test_metrics_tell_the_models_apart(start_front: StartFront) -> None:
    with start_front(models=THREE).client() as client:
        text = client.get("/metrics").text
    for name in ("default", *THREE):
        assert f'llamaedge_guests{{model="{name}"}} 1.0' in text
        assert f'llamaedge_prompt_tokens_total{{engine="m.gguf",model="{name}"}} 31.0' in text


def test_it_is_ready_once_all_are(start_front: StartFront) -> None:
    front = start_front(models={"late": "slow 1.0"}, ready=False)
    with front.client() as client:
        assert client.get("/health").json()["status"] == "loading"
        assert client.get("/v1/models").status_code == 503
        front.wait_ready()
        assert client.get("/health").json() == {"status": "ready", "guests": 2}
        assert client.get("/v1/models").status_code == 200


@pytest.mark.parametrize("others", [{"bad": "fail 1"}, {"a": "serve", "bad": "fail 1"}])
def test_a_model_that_fails_at_the_start_ends_the_program(
    start_front: StartFront, others: dict[str, str]
) -> None:
    front: Front = start_front(models=others, ready=False)
    assert front.process.wait(timeout=10) == 1
    assert front.log.read_text().splitlines() == ["error: the model does not load"]
    folder = front.log.with_name("tmp0")
    assert list(folder.iterdir()) == []


def test_one_that_ends_leaves_the_others_serving(start_front: StartFront) -> None:
    with start_front(models=THREE).client() as client:
        before = worker(client, model="small")
        client.post(CHAT, json={"messages": [], "answer": "die"})
        health = until(client, "/health", lambda body: body["guests"] == 2)
        assert health.status_code == 200
        assert "the worker process ended" in health.json()["message"]
        assert worker(client, model="small") == before
