"""Ollama's models: listed, shown, pulled and deleted."""

import asyncio
import json
from typing import Any

import pytest
from ollama import ListResponse, ProcessResponse, ProgressResponse, ShowResponse
from starlette.requests import Request

from llamaedge_launcher.proxy.dialects.ollama import Copy, Delete, OllamaModels, Pull, Show
from llamaedge_launcher.proxy.errors import ApiError

from .scripted import Scripted

NOBODY = Request({"type": "http"})
MODELS = [
    {
        "name": "org/repo:Q4_0",
        "id": "repo",
        "status": status,
        "size": 5,
        "architecture": "llama",
        "quantization": "Q4_0",
        "parameters": parameters,
        "context": 512,
        "capabilities": ["chat", "reasoning"],
        "memory": 7,
        "last_used": 1.5,
        "expires": None if parameters else 1_700_000_300.5,
        "modified": 1_700_000_000.5 if parameters else None,
        "digest": "ab" * 32,
    }
    for status, parameters in (("ready", 134_515_008), ("available", None))
]


async def models() -> list[dict[str, Any]]:
    return MODELS


def test_models_are_told() -> None:
    managed = OllamaModels(models)
    tags = ListResponse.model_validate_json(asyncio.run(managed.tags(NOBODY)).body)
    assert [each.model for each in tags.models] == ["repo", "repo"]
    details = [each.details for each in tags.models]
    assert [each.parameter_size for each in details if each] == ["134.5M", ""]
    assert [each.digest for each in tags.models] == ["ab" * 32] * 2
    times = [each.modified_at and each.modified_at.timestamp() for each in tags.models]
    assert times == [1_700_000_000.5, None]
    ps = ProcessResponse.model_validate_json(asyncio.run(managed.ps(NOBODY)).body)
    assert [(each.model, each.size, each.context_length) for each in ps.models] == [
        ("repo", 7, 512)
    ]


def test_a_loaded_model_tells_when_it_goes() -> None:
    for expires, year in ((None, 2318), (1_700_000_300.5, 2023)):

        async def loaded(expires: float | None = expires) -> list[dict[str, Any]]:
            return [MODELS[0] | {"expires": expires}]

        ps = asyncio.run(OllamaModels(loaded).ps(NOBODY))
        [found] = ProcessResponse.model_validate_json(ps.body).models
        assert found.expires_at
        assert found.expires_at.year == year


NAMES = (
    *("repo", "repo:latest", "org/repo:Q4_0"),
    *("org/repo", "org/repo:latest", "org/repo:q4_0", "hf.co/org/repo", "hf.co/org/repo:Q4_0"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_shown(name: str) -> None:
    found = Scripted().post(Show(models), {"model": name}).json()
    told = ShowResponse.model_validate(found)
    assert told.capabilities == ["completion", "thinking"]
    assert told.modified_at is not None
    assert told.modified_at.timestamp() == 1_700_000_000.5
    assert found["model_info"]["llama.context_length"] == 512


@pytest.mark.parametrize("name", ["other", "org/repo:Q8_0", "org/other", "org/other:latest"])
def test_a_model_that_is_not_here_is_a_404(name: str) -> None:
    response = Scripted().post(Show(models), {"model": name})
    assert (response.status_code, response.json()) == (404, {"error": f"model {name!r} not found"})


def test_a_copy_is_refused() -> None:
    copy = {"source": "repo", "destination": "mine"}
    response = Scripted().post(Copy(models), copy)
    assert response.status_code == 400
    assert response.json()["error"].startswith("destination: models here have the names that")
    assert "--model-name mine" in response.json()["error"]
    assert Scripted().post(Copy(models), copy | {"source": "other"}).status_code == 404


PULLED: list[Any] = [
    {"status": "resolving", "file": "", "completed": 0, "total": 0, "speed": 0},
    {"status": "downloading", "file": "a.gguf", "completed": 5, "total": 9, "speed": 1},
    {"status": "done", "file": "", "completed": 9, "total": 9, "speed": 0, "name": "o/r:Q4_0"},
]


@pytest.mark.parametrize("streams", [True, False])
def test_a_pull(streams: bool) -> None:
    guest = Scripted(chunks=PULLED)
    response = guest.post(Pull(), {"model": "o/r:Q4_0", "stream": streams})
    assert (guest.asked, guest.path) == ({"model": "o/r:Q4_0"}, "/api/models/pull")
    told = [ProgressResponse.model_validate_json(line) for line in response.text.splitlines()]
    assert told[-1].status == "success"
    assert [(each.status, each.completed, each.total) for each in told[:-1]] == (
        [("pulling manifest", None, None), ("pulling a.gguf", 5, 9)] if streams else []
    )


def test_a_pull_that_fails_says_why() -> None:
    guest = Scripted(chunks=[PULLED[0]], error=ApiError(502, "no such repository"))
    last = guest.post(Pull(), {"model": "o/r"}).text.splitlines()[-1]
    assert json.loads(last) == {"error": "no such repository"}


def test_a_deletion() -> None:
    guest = Scripted(answer={"name": "o/r", "deleted": True})
    response = guest.post(Delete(), {"model": "o/r"})
    assert (response.status_code, response.json()) == (200, {})
    assert (guest.method, guest.params) == ("DELETE", {"name": "o/r"})
