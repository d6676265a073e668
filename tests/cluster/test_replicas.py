"""Replicas behind fronts, on a cluster of processes."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from .conftest import CHAT, STORE, App

pytestmark = pytest.mark.timeout(600)


def conversation(app: App, name: str, turns: int) -> None:
    """Talk for ``turns``; each prompt begins with all that was said before."""
    said: list[dict[str, Any]] = []
    for turn in range(turns):
        said.append({"role": "user", "content": f"{name} asks {turn}: {f'{name} thinks. ' * 15}"})
        answer = app.client.post(CHAT, json={"messages": said, "max_tokens": 4, "temperature": 0})
        assert answer.status_code == 200, answer.text
        said.append(answer.json()["choices"][0]["message"])


def reused(app: App) -> float:
    """The share of the prompts' tokens that replicas had read before."""
    again = sum(app.numbers("llamaedge_prompt_tokens_reused_total").values())
    return again / (again + sum(app.numbers("llamaedge_prompt_tokens_total").values()))


@contextmanager
def stream(app: App, tokens: int) -> Iterator[Iterator[str]]:
    """The lines of an answer of so many tokens, the first of which has come."""
    body = {
        "messages": [{"role": "user", "content": "Go on"}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": True,
    }
    with app.client.stream("POST", CHAT, json=body) as answer:
        lines = (line for line in answer.iter_lines() if line)
        next(lines)
        yield lines


def loaded(app: App) -> list[str]:
    """The models that are."""
    return [model for model, n in app.numbers("llamaedge_guests", by="model").items() if n]


def asked_meanwhile(
    pool: ThreadPoolExecutor, app: App, count: int, **more: Any
) -> list["Future[httpx.Response]"]:
    return [pool.submit(app.ask, f"Question {n}", max_tokens=150, **more) for n in range(count)]


def test_two_replicas_answer_as_one_server(app: App) -> None:
    app.deploy(num_replicas=2)
    assert app.ask("Hello").json()["usage"]["completion_tokens"] == 8
    body = {"messages": [{"role": "user", "content": "Count"}], "max_tokens": 8, "stream": True}
    with app.client.stream("POST", CHAT, json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        frames = [line for line in answer.iter_lines() if line]
    assert frames[-1] == "data: [DONE]"
    assert len(frames) > 3
    with connect(app.url.replace("http", "ws") + CHAT) as socket:
        socket.send(json.dumps(body))
        texts = [socket.recv(timeout=60)]
        while "[DONE]" not in texts[-1]:
            texts.append(socket.recv(timeout=60))
    assert len(texts) > 3
    assert [each["id"] for each in app.client.get("/v1/models").json()["data"]] == ["default"]
    assert app.client.get("/api/models").json()["data"][0]["status"] == "ready"
    assert app.client.get("/props").json()["default_generation_settings"]
    assert app.client.post(CHAT, json={}).status_code == 400
    assert len(app.numbers("llamaedge_guests")) == 2


def test_what_one_front_keeps_the_other_has(app: App) -> None:
    app.deploy(num_replicas=1, fronts=2)
    fronts = {}
    upload = app.client.post("/v1/files", files={"file": ("a.txt", b"hello")}).json()
    kept = app.client.post(
        "/v1/responses", json={"model": "default", "input": "Hi", "max_output_tokens": 4}
    ).json()
    for _ in range(12):
        assert app.client.get(f"/v1/files/{upload['id']}/content").text == "hello"
        assert app.client.get(f"/v1/responses/{kept['id']}").json()["id"] == kept["id"]
        fronts |= app.numbers("llamaedge_requests_total")
    assert len(fronts) == 2, "each front was asked"


def test_a_killed_replica_loses_no_request_that_has_no_answer(app: App) -> None:
    import ray

    app.deploy(num_replicas=2)
    with ThreadPoolExecutor(8) as pool:
        asking = asked_meanwhile(pool, app, 8)
        app.wait(lambda: sum(app.busy()) >= 4)
        victim = app.actors()[0]
        ray.kill(ray.get_actor(victim, namespace="serve"))
        answers = [each.result() for each in asking]
    assert [each.status_code for each in answers] == [200] * 8
    app.wait(lambda: len(app.replicas()) == 2 and victim not in app.actors())
    app.wait(lambda: len(app.workers()) == 2)


def test_a_killed_worker_loses_no_request_that_has_no_answer(app: App) -> None:
    app.deploy(num_replicas=2)
    replicas = app.actors()
    with ThreadPoolExecutor(8) as pool:
        asking = asked_meanwhile(pool, app, 8)
        app.wait(lambda: [each > 0 for each in app.busy()] == [True, True])
        os.kill(app.workers()[0], signal.SIGKILL)
        answers = [each.result() for each in asking]
    assert [each.status_code for each in answers] == [200] * 8
    app.wait(lambda: sum(app.numbers("llamaedge_worker_restarts_total").values()) == 1)
    assert app.actors() == replicas


def test_an_answer_that_has_begun_ends_with_an_error(app: App) -> None:
    import ray

    app.deploy(num_replicas=1)
    with stream(app, 900) as lines:
        ray.kill(ray.get_actor(app.actors()[0], namespace="serve"))
        *_, last = lines
    assert "the replica ended while it was answering" in last
    assert app.ask("Again").status_code == 200


def test_a_replica_that_leaves_ends_what_it_has_begun(app: App) -> None:
    app.deploy(num_replicas=1, **{"drain-timeout": 120})
    with ThreadPoolExecutor(1) as pool, stream(app, 900) as lines:
        leaving = pool.submit(app.deploy, num_replicas=1, **{"drain-timeout": 120, "n-predict": 3})
        frames = list(lines)
        leaving.result()
    assert frames[-1] == "data: [DONE]"
    assert any('"finish_reason":"length"' in frame for frame in frames)
    assert app.ask("Tell me", max_tokens=None).json()["usage"]["completion_tokens"] == 3


def test_a_replica_leaves_after_its_time(app: App) -> None:
    impatient = [{"name": "default", "drain-timeout": 1}]
    app.deploy(servers=impatient)
    with ThreadPoolExecutor(1) as pool, stream(app, 900) as lines:
        leaving = pool.submit(app.deploy, servers=impatient)
        *_, last = lines
        leaving.result()
    assert "the replica ended while it was answering" in last


def test_a_client_that_goes_is_worked_for_no_longer(app: App) -> None:
    app.deploy(num_replicas=1)
    with stream(app, 900):
        assert sum(app.busy()) == 1
    app.wait(lambda: sum(app.busy()) == 0)
    assert sum(app.numbers("llamaedge_tokens_predicted_total").values()) < 900


def test_more_than_may_wait_are_refused(app: App) -> None:
    app.deploy(num_replicas=1, parallel=1, **{"max-queue": 1})
    with ThreadPoolExecutor(6) as pool:
        with stream(app, 900), stream(app, 900):
            asking = asked_meanwhile(pool, app, 6)
            app.wait(lambda: sum(each.done() for each in asking) >= 5)
        answers = [each.result() for each in asking]
    assert {each.status_code for each in answers} == {200, 429}
    refused = next(each for each in answers if each.status_code == 429)
    assert "retry-after" in refused.headers
    assert "max-queue" in refused.json()["error"]["message"]


def test_a_killed_node_loses_no_request_that_has_no_answer(app: App) -> None:
    node = app.cluster.add_node(num_cpus=4, object_store_memory=STORE)
    try:
        app.deploy(num_replicas=2, max_replicas_per_node=1)
        with ThreadPoolExecutor(8) as pool:
            asking = asked_meanwhile(pool, app, 8)
            app.wait(lambda: [each > 0 for each in app.busy()] == [True, True])
            app.cluster.remove_node(node, allow_graceful=False)
            node = None
            answers = [each.result() for each in asking]
        assert [each.status_code for each in answers] == [200] * 8
    finally:
        if node is not None:
            app.cluster.remove_node(node)


def test_a_new_option_is_rolled_out_under_requests(app: App) -> None:
    app.deploy(num_replicas=2, max_surge_percent=50, **{"n-predict": 5})
    with ThreadPoolExecutor(2) as pool:
        rolling = pool.submit(app.deploy, num_replicas=2, max_surge_percent=50, **{"n-predict": 3})
        counts = []
        while not rolling.done():
            answer = app.ask("Tell me", max_tokens=None)
            assert answer.status_code == 200, answer.text
            counts.append(answer.json()["usage"]["completion_tokens"])
        rolling.result()
    assert set(counts) <= {3, 5}
    for _ in range(4):
        assert app.ask("Tell me", max_tokens=None).json()["usage"]["completion_tokens"] == 3


def test_replicas_come_with_requests_and_go_without(app: App) -> None:
    scaled = {
        "min_replicas": 1,
        "max_replicas": 2,
        "target_ongoing_requests": 1,
        "metrics_interval_s": 1,
        "look_back_period_s": 2,
        "upscale_delay_s": 1,
        "downscale_delay_s": 2,
    }
    app.deploy(autoscaling_config=scaled)
    assert len(app.replicas()) == 1
    with ThreadPoolExecutor(4) as pool:
        more = True

        def go_on() -> None:
            while more:
                assert app.ask("Tell me a story", max_tokens=48).status_code == 200

        asking = [pool.submit(go_on) for _ in range(4)]
        try:
            app.wait(lambda: len(app.replicas()) == 2)
        finally:
            more = False
        for each in asking:
            each.result()
    app.wait(lambda: len(app.replicas()) == 1)
    assert app.ask("Are you there?").status_code == 200


def test_a_replica_loads_what_is_asked_for_and_lets_go_of_the_rest(
    app: App, smollm2: Path, tmp_path: Path
) -> None:
    names = ["first", "second"]
    for each in names:
        shutil.copy(smollm2, tmp_path / f"{each}.gguf")
    models = [str(tmp_path / f"{each}.gguf") for each in names]
    app.deploy(servers=[{"name": "both", "models": models}])
    assert [each["id"] for each in app.client.get("/v1/models").json()["data"]] == names
    for each in (*names, *names):
        answer = app.ask("Hello", model=each)
        assert answer.status_code == 200, answer.text
        app.wait(lambda name=each: loaded(app) == [name])
        app.wait(lambda: len(app.workers()) == 1)
    asleep = app.client.get("/props", params={"model": "first"}).json()
    assert (asleep["model_alias"], asleep["is_sleeping"]) == ("first", True)
    assert app.client.get("/slots", params={"model": "first"}).json() == []
    assert len(app.client.get("/slots", params={"model": "second"}).json()) == 2
    assert app.ask("Hello", model="third").status_code == 404


def test_affinity_finds_what_was_read_before(app: App) -> None:
    shares = {}
    for router in ("llamaedge_launcher.ray.router:PrefixRouter", "random_router:RandomRouter"):
        app.deploy(num_replicas=2, request_router_class=router, **{"ctx-size": 2048})
        for name in ("Ann", "Bob", "Cem", "Dan"):
            conversation(app, name, turns=3)
        shares[router.partition(":")[2]] = reused(app)
    assert shares["PrefixRouter"] > shares["RandomRouter"]
