"""/metrics of the public server, before a scripted guest and worker (fake_worker.py)."""

import re
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from .conftest import Front, StartFront

CHAT = "/v1/chat/completions"


def metrics(client: httpx.Client) -> dict[str, float]:
    """Every sample by its name and labels: ``name{a=1,b=2}``."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(response.text):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert name not in found, f"{name} is there twice"
            found[name] = sample.value
    return found


def requests(route: str, status: int, method: str = "POST") -> str:
    return f"llamaedge_requests_total{{method={method},route={route},status={status}}}"


def of_model(name: str) -> str:
    return f"{name}{{model=default}}"


def test_the_sums_have_llama_servers_names_and_no_labels(client: httpx.Client) -> None:
    answer = client.get("/metrics")
    found = metrics(client)
    expected = {
        "llamacpp:prompt_tokens_total": 31,
        "llamacpp:tokens_predicted_total": 6,
        "llamacpp:tokens_predicted_seconds_total": 0.5,
        "llamacpp:predicted_tokens_seconds": 12,
        "llamacpp:prompt_tokens_seconds": 0,
        "llamacpp:n_decode_total": 4,
        "llamacpp:requests_processing": 0,
        "llamacpp:requests_deferred": 0,
    }
    assert {name: found[name] for name in expected} == expected
    for name in re.findall(r"^(llamacpp:\S+) \S+$", answer.text, re.M):
        kind = "counter" if name.endswith(("_total", "_max")) else "gauge"
        assert f"# TYPE {name} {kind}\n" in answer.text
        assert f"# HELP {name} " in answer.text
    assert int(answer.headers["Process-Start-Time-Unix"]) <= time.time()


def test_the_engines_numbers_are_told_by_engine(client: httpx.Client) -> None:
    found = metrics(client)
    expected = {
        "llamaedge_prompt_tokens_total": 31,
        "llamaedge_tokens_predicted_total": 6,
        "llamaedge_tokens_predicted_seconds_total": 0.5,
        "llamaedge_prompt_tokens_reused_total": 0,
        "llamaedge_batch_tokens_count": 4,
        "llamaedge_batch_tokens_sum": 5007,
    }
    assert {name: found[f"{name}{{engine=m.gguf,model=default}}"] for name in expected} == expected
    bucket = "llamaedge_batch_tokens_bucket{engine=m.gguf,le=%s,model=default}"
    assert [found[bucket % le] for le in ("1.0", "2.0", "4.0", "2048.0", "+Inf")] == [1, 1, 3, 3, 4]
    assert found["process_resident_memory_bytes"] > 1e6


def test_requests_are_counted_by_route_method_and_status(start_front: StartFront) -> None:
    front = start_front()
    with front.client() as client:
        client.post(CHAT, json={"messages": []})
        client.post(CHAT, json={})
        client.post(CHAT, json={"messages": [], "answer": "stream", "count": 4, "text": "hi"})
        client.get("/v1/files/file_x")
        client.get("/any/thing")
        client.request("PROPFIND", "/any/thing")
        found = metrics(client)
    assert found[requests(CHAT, 200)] == 2
    assert found[requests(CHAT, 400)] == 1
    assert found[requests("/v1/files/{id}", 404, "GET")] == 1
    assert found[requests("other", 404, "GET")] == 1
    assert found[requests("other", 404, "other")] == 1
    assert found[f"llamaedge_request_seconds_count{{route={CHAT}}}"] == 3
    assert found[f"llamaedge_first_token_seconds_count{{route={CHAT}}}"] == 1
    assert found.get(f"llamaedge_token_gap_seconds_count{{route={CHAT}}}", 0) <= 3


def test_the_pool_and_its_restarts_are_told(start_front: StartFront) -> None:
    front = start_front(limit=1)
    with front.client() as client:
        with client.stream(
            "POST", CHAT, json={"messages": [], "answer": "stream", "count": 1000, "gap": 0.05}
        ) as response:
            lines = response.iter_lines()
            next(lines)
            found = metrics(client)
            assert found[of_model("llamaedge_requests_processing")] == 1
            assert found[of_model("llamaedge_requests_deferred")] == 0
            assert found[of_model("llamaedge_guests")] == 1
        client.post(CHAT, json={"messages": [], "answer": "trap"})
        until(client, of_model("llamaedge_guest_restarts_total"), 1)
        client.post(CHAT, json={"messages": [], "answer": "die"})
        until(client, of_model("llamaedge_worker_restarts_total"), 1)


def until(client: httpx.Client, name: str, value: float) -> None:
    deadline = time.monotonic() + 10
    while metrics(client)[name] != value:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_without_a_worker_the_rest_is_told(start_front: StartFront) -> None:
    front = start_front("slow", "1.5", ready=False)
    with front.client() as client:
        found = metrics(client)
        assert found[of_model("llamaedge_guests")] == 0


@pytest.mark.parametrize("keys", [("k",)])
def test_a_key_is_asked_for(start_front: StartFront, keys: tuple[str, ...]) -> None:
    front: Front = start_front(keys=keys)
    with front.client() as client:
        assert client.get("/metrics").status_code == 401
        shown = client.get("/metrics", headers={"X-Api-Key": "k"})
    assert re.search(r'requests_total\{method="GET",route="other",status="401"\} 1', shown.text)
