"""Models that are fetched, found and deleted over HTTP, from a hub of our own."""

import asyncio
import json
import re
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ...models import tiny
from ..conftest import Front, StartFront
from ..running import running
from .conftest import MODEL, REPO
from .hub import Fault, Hub, Repo

NAME = f"{REPO}:Q4_K_M"
DOCUMENT = Path(__file__).parents[3] / "docs" / "models.md"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)


@pytest.fixture
def cache(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the servers that are started keep what comes from the hub."""
    folder = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    return folder


@pytest.fixture
def front(cache: Path, start_front: StartFront) -> Front:
    return start_front()


@pytest.fixture
def client(front: Front) -> Iterator[httpx.Client]:
    with front.client() as client:
        yield client


@contextmanager
def pulling(client: httpx.Client, name: str) -> Iterator[Iterator[dict[str, Any]]]:
    """The events of a pull, as they come."""
    with client.stream("POST", "/api/models/pull", json={"model": name}) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == "text/event-stream"
        lines = (line for line in response.iter_lines() if line.startswith("data: "))
        yield (json.loads(line.removeprefix("data: ")) for line in lines)


def pull(client: httpx.Client, name: str) -> list[dict[str, Any]]:
    with pulling(client, name) as events:
        return list(events)


def stalling(go: threading.Event) -> Fault:
    """Half of the bytes, and the rest when ``go`` says so."""

    def answer(request: Request, content: bytes) -> Response:
        async def body() -> AsyncIterator[bytes]:
            half = len(content) // 2
            yield content[:half]
            while not go.is_set():
                await asyncio.sleep(0.01)
            for start in range(half, len(content), 4096):
                yield content[start : start + 4096]
                await asyncio.sleep(0.005)

        return StreamingResponse(body(), headers={"Content-Length": str(len(content))})

    return answer


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def whole(cache: Path) -> list[Path]:
    return [path for path in cache.glob("models--*/snapshots/*/*.gguf") if path.exists()]


def test_a_model_is_fetched(client: httpx.Client, hub: Hub, cache: Path, gguf: bytes) -> None:
    events = pull(client, NAME)
    statuses = list(dict.fromkeys(each["status"] for each in events))
    assert statuses[-2:] == ["checking", "done"]
    assert set(statuses) <= {"resolving", "downloading", "checking", "done"}
    assert events[-1]["name"] == NAME
    coming = [each for each in events if each["file"] == MODEL and each["total"]]
    assert {each["total"] for each in coming} == {len(gguf)}
    assert coming[-1]["completed"] == len(gguf)
    assert whole(cache)[0].read_bytes() == gguf
    hub.asked.clear()
    assert pull(client, NAME)[-1]["name"] == NAME
    assert hub.ranges() == []


def test_without_a_quantization_it_is_said_which_one_is_taken(client: httpx.Client) -> None:
    events = pull(client, REPO)
    assert events[-1]["name"] == NAME
    assert any("the only model there" in each.get("message", "") for each in events)


def test_closing_the_connection_gives_it_up(
    front: Front, client: httpx.Client, hub: Hub, cache: Path, gguf: bytes
) -> None:
    go = threading.Event()
    hub.faults = [stalling(go)]
    with pulling(client, NAME) as events:
        until(lambda: next(events)["completed"])
    until(lambda: "/api/models/pull 200 cut off" in front.log.read_text())
    go.set()
    until(lambda: "is given up" in front.log.read_text())
    part = next(cache.glob("models--*/blobs/*.incomplete"))
    assert 0 < part.stat().st_size < len(gguf)
    assert whole(cache) == []
    assert pull(client, NAME)[-1]["status"] == "done"
    assert int(hub.ranges()[-1]) > 0, "it goes on where it stopped"
    assert whole(cache)[0].read_bytes() == gguf


@pytest.mark.parametrize("leaves", [False, True])
def test_two_that_ask_for_one_model_share_a_download(
    client: httpx.Client, hub: Hub, cache: Path, leaves: bool
) -> None:
    go = threading.Event()
    hub.faults = [stalling(go)]
    with pulling(client, NAME) as first:
        until(lambda: next(first)["completed"])
        if not leaves:
            with pulling(client, NAME) as second:
                assert next(second)["completed"]
                go.set()
                assert list(second)[-1]["name"] == list(first)[-1]["name"] == NAME
        else:
            with pulling(client, NAME) as second:
                assert next(second)["completed"]
            go.set()
            assert list(first)[-1]["name"] == NAME
    assert hub.ranges() == ["0"]
    assert len(whole(cache)) == 1


def test_two_names_of_one_file_fetch_it_once(client: httpx.Client, hub: Hub, cache: Path) -> None:
    go = threading.Event()
    hub.faults = [stalling(go)]
    with pulling(client, NAME) as first:
        until(hub.ranges)
        with pulling(client, f"{REPO}:{MODEL}") as second:
            until(lambda: "another process" in next(second).get("message", ""))
            go.set()
            assert list(first)[-1]["name"] == list(second)[-1]["name"] == NAME
    assert hub.ranges() == ["0"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("acme/none", "has no repository acme/none"),
        (f"{REPO}:Q2_K", f"{REPO} has no Q2_K; it has Q4_K_M"),
    ],
)
def test_what_goes_wrong_ends_the_stream(
    front: Front, client: httpx.Client, name: str, said: str
) -> None:
    error = pull(client, name)[-1]["error"]
    assert said in error["message"]
    assert (error["type"], error["code"]) == ("server_error", "pull_failed")
    assert "Traceback" not in front.log.read_text()


@pytest.mark.parametrize("name", ["model.gguf", "/etc/passwd", "http://127.0.0.1:1/a.gguf"])
def test_only_a_hubs_models_are_fetched(client: httpx.Client, hub: Hub, name: str) -> None:
    response = client.post("/api/models/pull", json={"model": name})
    assert response.status_code == 400
    assert f"'{name}' is no model of a hub" in response.json()["error"]["message"]
    assert hub.asked == []


def test_a_search_finds_repositories(client: httpx.Client, hub: Hub) -> None:
    hub.repos["other/thing"] = Repo({}, gated=True)
    found = client.get("/api/models/search", params={"q": "tiny"}).json()
    assert found == {
        "object": "list",
        "data": [
            {
                "name": REPO,
                "downloads": 1200,
                "likes": 3,
                "gated": False,
                "updated": "2026-01-31T12:00:00+00:00",
            }
        ],
    }
    assert len(client.get("/api/models/search").json()["data"]) == 2
    hub.refusal = lambda _: Response("no", 403)
    response = client.get("/api/models/search?q=tiny")
    assert response.status_code == 502
    assert "it is not allowed" in response.json()["error"]["message"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "a", "\u00b2"])
def test_a_limit_is_a_number(client: httpx.Client, limit: str) -> None:
    response = client.get("/api/models/search", params={"q": "tiny", "limit": limit})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "limit"


def test_what_is_not_here_cannot_be_deleted(client: httpx.Client) -> None:
    for name in (NAME, "demo", "/etc/passwd", "default2"):
        assert client.delete(f"/api/models/{quote(name, safe='')}").status_code == 404
    response = client.delete("/api/models/default")
    assert response.status_code == 409
    assert response.json()["error"]["message"] == "default is loaded; unload it first"


def test_a_model_is_fetched_asked_and_deleted(
    hub: Hub, cache: Path, tmp_path: Path, smollm2: Path
) -> None:
    """The life of a model in a real server."""
    hub.repos[REPO].files[MODEL] = tiny.llama(
        tmp_path / MODEL, template=TEMPLATE, brief=True
    ).read_bytes()
    body = {"model": NAME, "max_tokens": 4, "messages": [{"role": "user", "content": "the sea"}]}
    with (
        running(tmp_path, str(smollm2), "--ctx-size", "256") as server,
        httpx.Client(base_url=server.wait_ready(), timeout=120, trust_env=False) as client,
    ):
        assert pull(client, NAME)[-1]["name"] == NAME
        before = len(server.workers())
        answer = client.post("/v1/chat/completions", json=body).raise_for_status().json()
        assert answer["model"] == NAME
        assert len(server.workers()) == before + 1
        rows = {each["name"]: each for each in client.get("/api/models").json()["data"]}
        assert rows[NAME]["context"] == 256, "that which is in use"
        fetched = {name for name, row in rows.items() if row["fetched"]}
        assert fetched == {NAME} < set(rows), "another was given as a file"
        place = f"/api/models/{quote(NAME, safe='')}"
        response = client.delete(place)
        assert response.status_code == 409
        assert response.json()["error"]["message"] == f"{NAME} is loaded; unload it first"
        gone = client.post("/api/models/unload", json={"model": NAME}).json()
        assert (gone["name"], gone["status"]) == (NAME, "available")
        assert len(server.workers()) == before, "its memory has come back"
        assert client.delete(place).json() == {"name": NAME, "deleted": True}
        assert whole(cache) == []
        assert client.delete(place).status_code == 404
        names = [each["name"] for each in client.get("/api/models").json()["data"]]
        assert NAME not in names
    assert "Traceback" not in server.terminal.read_text()


def test_the_commands_of_the_document_work(
    hub: Hub, cache: Path, tmp_path: Path, smollm2: Path
) -> None:
    text = DOCUMENT.read_text().replace("ORG/REPO", REPO)
    blocks = re.findall(r"```bash\n(curl .*?)```", text, re.DOTALL)
    listed, load, unload, search, fetch, delete = blocks
    model = tiny.llama(tmp_path / MODEL, template=TEMPLATE, brief=True)
    hub.repos[REPO].files[MODEL] = model.read_bytes()
    with running(tmp_path, str(smollm2), "--ctx-size", "256") as server:
        url = server.wait_ready()

        def curl(command: str) -> str:
            command = command.replace("http://127.0.0.1:8080", url).replace("curl ", "curl -s ", 1)
            done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
            return done.stdout

        assert json.loads(curl(search))["data"][0]["name"] == REPO
        assert '"status": "done"' in curl(fetch)
        assert NAME in [each["name"] for each in json.loads(curl(listed))["data"]]
        assert json.loads(curl(load))["status"] == "ready"
        assert json.loads(curl(unload))["status"] == "available"
        assert json.loads(curl(delete)) == {"name": NAME, "deleted": True}
