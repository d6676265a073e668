"""Errors that are raised before an API's own module runs have that API's shape."""

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import ollama
import pytest

from ..conftest import Front, StartFront, starting

ANTHROPIC = ("/v1/messages", "/v1/messages/count_tokens")
OLLAMA = ("/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show", "/api/pull")
OPENAI = ("/v1/chat/completions", "/v1/responses", "/v1/files", "/api/models/load", "/api/render")
KEY = {"X-Api-Key": "k"}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with starting(tmp_path_factory.mktemp("front")) as start:
        yield start(keys=["k"], max_body_size=1000)


def told(response: httpx.Response, path: str) -> str:
    """The message, if the error has the shape of the path's API."""
    assert int(response.headers["content-length"]) == len(response.content)
    found: Any = response.json()
    if path in ANTHROPIC or path.startswith("/v1/messages/"):
        assert found.keys() == {"type", "error"}
        assert found["type"] == "error"
        assert found["error"].keys() == {"type", "message"}
        return str(found["error"]["message"])
    if path in OPENAI:
        assert found["error"].keys() == {"message", "type", "param", "code"}
        return str(found["error"]["message"])
    assert found.keys() == {"error"}
    assert isinstance(found["error"], str)
    return found["error"]


@pytest.mark.parametrize("path", [*ANTHROPIC, *OLLAMA, *OPENAI])
def test_each_error_is_told_as_its_api_tells_it(client: httpx.Client, path: str) -> None:
    no_key = client.post(path, json={})
    assert no_key.status_code == 401
    assert no_key.headers["www-authenticate"] == "Bearer"
    assert "asks for an API key" in told(no_key, path)
    foreign = client.post(path, json={}, headers=KEY | {"Host": "example.org"})
    assert foreign.status_code == 403
    assert "is not this machine" in told(foreign, path)
    wrong = client.put(path, json={}, headers=KEY)
    assert wrong.status_code == 405
    assert "POST" in wrong.headers["allow"]
    assert f"{path} does not take PUT" in told(wrong, path)
    plain = client.post(path, content="hi", headers=KEY | {"Content-Type": "text/plain"})
    assert plain.status_code == 415
    told(plain, path)
    if path != "/v1/files":
        large = client.post(path, json={"messages": "x" * 1000}, headers=KEY)
        assert large.status_code == 413
        assert "--max-body-size" in told(large, path)


@pytest.mark.parametrize("path", [*ANTHROPIC, *OLLAMA])
def test_what_curl_sends_where_it_is_told_no_type_is_json_to_ollama(
    client: httpx.Client, path: str
) -> None:
    form = KEY | {"Content-Type": "application/x-www-form-urlencoded"}
    asked = client.post(path, content='{"model": 3}', headers=form)
    assert asked.status_code == (400 if path in OLLAMA else 415)
    if path in OLLAMA:
        assert "model" in told(asked, path)
    page = client.post(path, content="{}", headers=form | {"Origin": str(client.base_url)})
    assert page.status_code == 415


@pytest.mark.parametrize("path", ["/v1/messages/batches", "/api/create", "/api/blobs/sha256:0"])
def test_so_is_a_path_that_is_none(client: httpx.Client, path: str) -> None:
    response = client.post(path, json={}, headers=KEY)
    assert response.status_code == 404
    assert told(response, path) == f"there is nothing at {path}"


@pytest.mark.parametrize("path", ["/api/tags", "/api/ps", "/api/version"])
def test_what_is_read_alone_tells_errors_too(client: httpx.Client, path: str) -> None:
    assert "asks for an API key" in told(client.get(path), path)


def test_a_path_that_only_begins_alike_is_another(client: httpx.Client) -> None:
    response = client.post("/v1/messagesx", json={}, headers=KEY)
    assert response.json()["error"]["code"] == "unknown_url"


SAID = [{"role": "user", "content": "a"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/messages": {"model": "m", "max_tokens": 1, "messages": SAID},
    "/v1/messages/count_tokens": {"model": "m", "messages": SAID},
    "/api/chat": {"model": "m", "messages": SAID},
    "/api/generate": {"model": "m", "prompt": "a"},
    "/api/embed": {"model": "m", "input": "a"},
    "/api/embeddings": {"model": "m", "prompt": "a"},
}


def test_a_server_that_loads_says_so(start_front: StartFront) -> None:
    with start_front("slow", "60", ready=False).client() as client:
        for path, body in BODIES.items():
            response = client.post(path, json=body)
            assert response.status_code == 503, response.text
            assert int(response.headers["retry-after"]) > 0
            told(response, path)


def test_a_server_that_is_full_says_so(start_front: StartFront) -> None:
    front = start_front(limit=1, max_queue=0)
    body = {"messages": SAID, "answer": "stream", "count": 9999, "gap": 0.05}
    with front.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as busy:
        pieces = busy.iter_bytes()
        assert next(pieces)
        with front.client() as other:
            for path in ANTHROPIC[:1] + OLLAMA[:2]:
                response = other.post(path, json=BODIES[path])
                assert response.status_code == 429, response.text
                assert int(response.headers["retry-after"]) > 0
                told(response, path)


def test_clients_read_them(front: Front) -> None:
    claude = anthropic.Anthropic(base_url=front.url, api_key="other", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError) as refused:
        claude.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "a"}])
    assert refused.value.body == {
        "type": "error",
        "error": {
            "type": "authentication_error",
            "message": "the API key is not one of this server's",
        },
    }
    with pytest.raises(ollama.ResponseError) as wrong:
        ollama.Client(front.url, trust_env=False).list()
    assert wrong.value.status_code == 401
    assert wrong.value.error.startswith("this server asks for an API key")
