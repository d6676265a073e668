"""Models that are loaded, switched and unloaded while the server runs, with scripted workers."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import Front, StartFront
from .test_supervisor import wait_gone

CHAT = "/v1/chat/completions"


@pytest.fixture
def here(tmp_path: Path) -> Callable[..., str]:
    """Says what the machine has: models' guests, their sizes, and what is free."""

    def tell(free: int = 0, sizes: dict[str, int] | None = None, **models: str) -> str:
        path = tmp_path / "machine.json"
        text = json.dumps({"models": models, "sizes": sizes or {}, "free": free})
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").replace(path)
        return str(path)

    return tell


Here = Callable[..., str]


def worker(client: httpx.Client, model: str | None = None, **fields: Any) -> int:
    """The process that answers a request for ``model``."""
    body = {"messages": [], "model": model, **fields}
    return int(client.post(CHAT, json=body).raise_for_status().json()["pid"])


def models(client: httpx.Client) -> dict[str, dict[str, Any]]:
    data = client.get("/api/models").raise_for_status().json()["data"]
    return {each["id"]: each for each in data}


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def load(client: httpx.Client, model: str) -> httpx.Response:
    return client.post("/api/models/load", json={"model": model})


def unload(client: httpx.Client, model: str) -> httpx.Response:
    return client.post("/api/models/unload", json={"model": model})


@contextmanager
def streaming(client: httpx.Client, model: str, count: int = 10_000) -> Iterator[Iterator[str]]:
    body = {"messages": [], "model": model, "answer": "stream", "count": count, "gap": 0.02}
    with client.stream("POST", CHAT, json=body) as response:
        lines = response.iter_lines()
        next(lines)
        yield lines


def test_a_request_loads_a_model_of_this_machine(start_front: StartFront, here: Here) -> None:
    front = start_front(machine=here(small="serve", other="serve"))
    with front.client() as client:
        assert {name: each["status"] for name, each in models(client).items()} == {
            "default": "ready",
            "small": "available",
            "other": "available",
        }
        listed = [each["id"] for each in client.get("/v1/models").json()["data"]]
        assert listed == ["default", "small", "other"]
        small = worker(client, "acme/small")
        assert small != worker(client)
        assert worker(client, "small") == small
        found = models(client)
        assert found["small"]["status"] == "ready"
        assert time.time() - found["small"]["last_used"] < 60
        assert found["other"]["last_used"] is None
        assert (found["default"]["default"], found["small"]["default"]) == (True, False)
        assert client.post(CHAT, json={"messages": [], "model": "acme/none"}).status_code == 404


def test_requests_that_come_together_load_it_once(start_front: StartFront, here: Here) -> None:
    front = start_front(machine=here(late="slow 0.5"))
    with front.client() as client, ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: worker(client, "acme/late"), range(8)))
    assert len(found) == 1
    assert front.log.read_text().count("loading acme/late") == 1


def test_what_is_unloaded_is_gone_until_it_is_asked_for(
    start_front: StartFront, here: Here
) -> None:
    front = start_front(machine=here(small="serve"))
    with front.client() as client:
        for name in ("default", "acme/small"):
            before = worker(client, name)
            response = unload(client, name)
            assert response.status_code == 200
            assert response.json()["status"] == "available"
            wait_gone(before)
            assert unload(client, name).status_code == 409
            assert client.get("/health").status_code == 200
            assert worker(client, name) != before
        assert unload(client, "acme/none").status_code == 404
        assert load(client, "acme/none").status_code == 404


def test_unloading_lets_requests_end(start_front: StartFront, here: Here) -> None:
    front = start_front(machine=here(small="serve"))
    with front.client() as client, streaming(client, "acme/small", count=60) as lines:
        assert unload(client, "small").json()["name"] == "acme/small"
        assert [line for line in lines if line][-1] == "data: [DONE]"
        assert models(client)["small"]["status"] == "available"


def test_the_least_recently_used_is_unloaded(start_front: StartFront, here: Here) -> None:
    front = start_front(machine=here(a="serve", b="serve"), models_max=2)
    with front.client() as client:
        first = worker(client)
        a = worker(client, "acme/a")
        worker(client)
        worker(client, "acme/b")
        wait_gone(a)
        assert worker(client) == first
        with streaming(client, "default", count=100) as lines:
            b = worker(client, "acme/b")
            worker(client, "acme/a")
            wait_gone(b)
            assert models(client)["default"]["status"] == "ready"
            assert [line for line in lines if line][-1] == "data: [DONE]"
        assert worker(client) == first


def test_where_all_are_busy_one_makes_room_when_it_is_done(
    start_front: StartFront, here: Here
) -> None:
    front = start_front(machine=here(a="serve"), models_max=1)
    with front.client() as client:
        first = worker(client)
        with streaming(client, "default", count=60) as lines:
            assert worker(client, "acme/a") != first
            assert models(client)["default"]["status"] == "unloading"
            assert [line for line in lines if line][-1] == "data: [DONE]"
        wait_gone(first)
        assert worker(client) != first


def test_more_than_may_be_loaded_are_loaded_as_they_are_asked_for(
    start_front: StartFront, here: Here
) -> None:
    front = start_front(machine=here(), models={"a": "serve", "b": "serve"}, models_max=1)
    with front.client() as client:
        assert [each["status"] for each in models(client).values()] == [
            "ready",
            "available",
            "available",
        ]
        with ThreadPoolExecutor(6) as threads:
            asked = ["a", "b", "default"] * 10
            for _ in threads.map(lambda name: worker(client, name), asked):
                pass
        until(lambda: [each["status"] for each in models(client).values()].count("ready") == 1)


def test_an_idle_model_is_unloaded_and_loaded_again(start_front: StartFront, here: Here) -> None:
    front = start_front(machine=here(), keep_alive=0.5)
    with front.client() as client:
        first = worker(client)
        wait_gone(first, seconds=20)
        assert client.get("/health").json() == {"status": "ready", "guests": 0}
        assert worker(client, answer="wait", seconds=1.5) != first
        with streaming(client, "default", count=75) as lines:
            assert [line for line in lines if line][-1] == "data: [DONE]"


@pytest.mark.parametrize("name", ["default", "acme/small"])
def test_a_switch_under_load_loses_no_request(
    start_front: StartFront, here: Here, name: str
) -> None:
    id_ = name.removeprefix("acme/")
    front = start_front(machine=here(**{id_: "serve"}), limit=4)
    stop = threading.Event()

    def ask() -> set[int]:
        found = set()
        with front.client() as own:
            while not stop.is_set():
                found.add(worker(own, name, answer="wait", seconds=0.02))
        return found

    with front.client() as client, ThreadPoolExecutor(6) as threads:
        first = worker(client, name)
        asking = [threads.submit(ask) for _ in range(6)]
        with streaming(client, name, count=50) as lines:
            for version in range(3):
                here(**{id_: f"serve {version}"})
                assert load(client, name).json()["status"] == "ready"
            assert [line for line in lines if line][-1] == "data: [DONE]"
        last = worker(client, name)
        stop.set()
        found = set.union(*(each.result() for each in asking))
        assert {first, last} <= found
        wait_gone(first)
        assert load(client, name).status_code == 200
        assert worker(client, name) == last, "its files have not changed"


def test_a_change_while_it_loads_is_loaded_afterwards(start_front: StartFront, here: Here) -> None:
    front = start_front(machine=here(late="slow 1.0"))
    with front.client() as client, ThreadPoolExecutor(1) as threads:
        first = threads.submit(worker, client, "acme/late")
        until(lambda: "loading acme/late" in front.log.read_text())
        here(late="serve")
        assert load(client, "acme/late").status_code == 200
        assert worker(client, "acme/late") != first.result()
    assert front.log.read_text().count("loading acme/late") == 2


def test_a_failed_switch_leaves_the_old_one_serving(start_front: StartFront, here: Here) -> None:
    front = start_front(machine=here(default="serve"))
    with front.client() as client:
        before = worker(client)
        here(default="fail 1")
        response = load(client, "default")
        assert response.status_code == 500
        error = response.json()["error"]
        assert error["message"] == "acme/default cannot be loaded: the model does not load"
        assert (error["code"], error["param"]) == ("model_not_loaded", "model")
        assert worker(client) == before
        found = models(client)["default"]
        assert found["status"] == "ready"
        assert "does not load" in found["message"]
        here(default="serve 2")
        assert load(client, "default").json()["message"] != error["message"]
        assert worker(client) != before
        wait_gone(before)


def test_a_model_that_does_not_load_is_told_of(start_front: StartFront, here: Here) -> None:
    front = start_front(machine=here(bad="fail 1", unfit="unfit"))
    with front.client() as client:
        response = client.post(CHAT, json={"messages": [], "model": "acme/bad"})
        assert response.status_code == 500
        assert response.json()["error"]["message"].endswith("the model does not load")
        assert models(client)["bad"]["status"] == "failed"
        response = load(client, "acme/unfit")
        assert response.status_code == 500
        assert response.json()["error"]["message"] == "it has no template"
    assert "Traceback" not in front.log.read_text()


def test_what_does_not_fit_is_refused(start_front: StartFront, here: Here) -> None:
    sizes = {"default": 2_000_000_000, "big": 5_000_000_000, "huge": 9_000_000_000}
    machine = {"free": 4_000_000_000, "sizes": sizes, "big": "serve", "huge": "serve"}
    front = start_front(machine=here(**machine))
    with front.client() as client:
        response = load(client, "acme/big")
        assert response.status_code == 507
        assert response.json()["error"] == {
            "message": "acme/big takes 5.0 GB, and 4.0 GB of memory are free;"
            " unloading default frees 2.0 GB",
            "type": "server_error",
            "param": "model",
            "code": "insufficient_memory",
        }
        assert models(client)["default"]["status"] == "ready"


def test_what_is_to_leave_leaves_before_where_memory_lacks(
    start_front: StartFront, here: Here
) -> None:
    sizes = {"default": 2_000_000_000, "big": 5_000_000_000, "huge": 9_000_000_000}
    machine = {"free": 4_000_000_000, "sizes": sizes, "big": "serve", "huge": "serve"}
    front = start_front(machine=here(**machine), models_max=1)
    with front.client() as client:
        first = worker(client)
        assert load(client, "acme/huge").status_code == 507
        assert worker(client) == first
        assert load(client, "acme/big").status_code == 200
        wait_gone(first)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "the request has no 'model'"),
        ({"model": 3}, "'model' must be a name"),
        ({"model": ""}, "'model' must be a name"),
    ],
)
@pytest.mark.parametrize("what", ["load", "unload"])
def test_a_request_names_a_model(
    client: httpx.Client, what: str, body: dict[str, Any], message: str
) -> None:
    response = client.post(f"/api/models/{what}", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"] == message


def test_a_server_that_loads_a_model_can_be_stopped(start_front: StartFront, here: Here) -> None:
    front: Front = start_front(machine=here(late="slow 60"), drain_timeout=0)
    with front.client() as client, ThreadPoolExecutor(1) as threads:
        asked = threads.submit(load, client, "acme/late")
        until(lambda: "loading acme/late" in front.log.read_text())
        assert front.end() == 130
        with pytest.raises(httpx.HTTPError):
            asked.result().raise_for_status()
    assert "Traceback" not in front.log.read_text()
    assert list(front.log.with_name("tmp0").iterdir()) == []


def test_a_key_is_asked_for(start_front: StartFront) -> None:
    with start_front(keys=["k"]).client() as client:
        assert client.get("/api/models").status_code == 401
        assert load(client, "default").status_code == 401
        assert client.get("/api/models", headers={"X-Api-Key": "k"}).status_code == 200


def test_metrics_count_what_an_unloaded_models_workers_did(start_front: StartFront) -> None:
    with start_front().client() as client:
        client.post(CHAT, json={"messages": [], "answer": "trap"})
        counted = 'llamaedge_guest_restarts_total{model="default"} 1.0'
        until(lambda: counted in client.get("/metrics").text)
        until(lambda: client.get("/v1/info").status_code == 200)
        unload(client, "default")
        text = client.get("/metrics").text
        assert counted in text
        assert 'llamaedge_guests{model="default"} 0.0' in text
