"""What a request sets is its own: no other request is answered differently for it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models import tiny

from .private import serving

ARGUMENTS = ("--prompt-template", "chatml", "--ctx-size", "256", "--threads", "1")
VALUES: dict[str, list[Any]] = {
    "temperature": [0, 0.7, 1, 2],
    "top_p": [0.1, 0.9, 1],
    "top_k": [0, 1, 3],
    "min_p": [0, 0.3, 1],
    "presence_penalty": [0, 2],
    "frequency_penalty": [0, 2],
    "repeat_penalty": [0.5, 1, 2],
    "seed": [-1, 0, 1, 7],
    "n": [1, 2],
    "stop": ["a", ["e", "the"]],
    "response_format": [{"type": "text"}, {"type": "json_object"}],
}
"""Every setting of a request beside max_tokens, with values that show in its answer."""
PROMPTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "the sea"}]},
    "/v1/completions": {"prompt": "the sea"},
}
Request = tuple[str, str]

some_settings = st.fixed_dictionaries(
    {"max_tokens": st.sampled_from([1, 12])},
    optional={name: st.sampled_from(values) for name, values in VALUES.items()},
)
requests = st.tuples(st.sampled_from(sorted(PROMPTS)), some_settings.map(json.dumps))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("model") / "tiny.gguf", seed=3)


@pytest.fixture(scope="module")
def server(guest: Path, model: Path) -> Iterator[httpx.Client]:
    """One server for all requests of this module, one after the other."""
    with serving(guest, model, *ARGUMENTS) as client:
        yield client


def answers(client: httpx.Client, request: Request) -> list[str]:
    path, chosen = request
    reply = client.post(path, json=PROMPTS[path] | json.loads(chosen))
    assert reply.status_code == 200, reply.text
    choices = reply.json()["choices"]
    return [choice.get("text") or choice.get("message", {}).get("content") for choice in choices]


@pytest.fixture(scope="module")
def afresh(guest: Path, model: Path) -> dict[Request, list[str]]:
    """What requests were answered by servers that had answered nothing else."""
    known: dict[Request, list[str]] = {}
    return known


@pytest.mark.timeout(600)
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(asked=st.lists(requests, min_size=2, max_size=5))
def test_a_seeded_request_is_answered_as_by_a_fresh_server(
    guest: Path,
    model: Path,
    server: httpx.Client,
    afresh: dict[Request, list[str]],
    asked: list[Request],
) -> None:
    for request in asked:
        given = answers(server, request)
        if json.loads(request[1]).get("seed", -1) < 0:
            continue
        if request not in afresh:
            with serving(guest, model, *ARGUMENTS) as fresh:
                afresh[request] = answers(fresh, request)
        assert given == afresh[request]


@pytest.mark.timeout(300)
@settings(max_examples=20)
@given(before=st.lists(requests, max_size=3), path=st.sampled_from(sorted(PROMPTS)))
@pytest.mark.parametrize("seed", [{}, {"seed": None}, {"seed": -1}])
def test_unseeded_answers_differ(
    server: httpx.Client, seed: dict[str, Any], before: list[Request], path: str
) -> None:
    for request in before:
        answers(server, request)
    wild = json.dumps({"temperature": 2, "top_k": 0, "min_p": 0, "max_tokens": 24, "n": 2, **seed})
    first, second = answers(server, (path, wild)), answers(server, (path, wild))
    assert len({*first, *second}) == 4
