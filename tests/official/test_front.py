"""LlamaEdge's own llama-api-server.wasm behind `llamaedge run`, eight of them."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from launcher.running import running
from llama_cpp import Llama
from websockets.sync.client import connect

INSTANCES = 8
CHAT = "/v1/chat/completions"
WORDS = ("banana", "hammer", "violin", "pepper", "rocket", "castle", "turtle", "window")
STORY = [{"role": "user", "content": "Tell me a long story about a king."}]


@pytest.fixture(scope="module")
def client(
    guests: Path, smollm2: Path, module_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    arguments = (
        "--guest", str(guests / "llama-api-server.wasm"), "--instances", str(INSTANCES),
        "--ctx-size", "512", "--n-predict", "32", str(smollm2),
    )  # fmt: skip
    with (
        running(tmp_path_factory.mktemp("front"), *arguments, threads=None) as server,
        httpx.Client(base_url=server.wait_ready(), timeout=120, trust_env=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def tokens(smollm2: Path) -> Iterator[Llama]:
    """What counts tokens as the model does."""
    model = Llama(str(smollm2), vocab_only=True, verbose=False)
    yield model
    model.close()


def stream(client: httpx.Client, **fields: Any) -> list[Any]:
    """The chunks of a stream, which ends as it must."""
    body = {"stream": True, "stream_options": {"include_usage": True}, **fields}
    with client.stream("POST", CHAT, json=body) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        *frames, done = [line for line in response.iter_lines() if line]
    assert done == "data: [DONE]"
    return [json.loads(each.removeprefix("data: ")) for each in frames if each[:1] != ":"]


def text_of(chunks: list[Any]) -> str:
    deltas = [choice["delta"] for each in chunks for choice in each["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def test_eight_streams_at_once_are_each_ones_own(client: httpx.Client) -> None:
    def ask(word: str) -> list[Any]:
        question = f"The secret word is {word}. What is the secret word? It is the word"
        return stream(client, messages=[{"role": "user", "content": question}])

    with ThreadPoolExecutor(INSTANCES) as threads:
        answers = list(threads.map(ask, WORDS))
    right = 0
    for word, chunks in zip(WORDS, answers, strict=True):
        text = text_of(chunks).lower()
        right += word in text
        assert text
        assert not [other for other in WORDS if other != word and other in text], text
        *_, last, usage = chunks
        assert last["choices"][0]["finish_reason"] in ("stop", "length")
        assert usage["choices"] == []
        assert usage["usage"]["total_tokens"] > usage["usage"]["prompt_tokens"] > 0
    assert right >= INSTANCES / 2  # it is a small model, which draws its tokens


def test_no_answer_has_more_tokens_than_asked_for(client: httpx.Client, tokens: Llama) -> None:
    def count(**fields: Any) -> int:
        text = text_of(stream(client, messages=STORY, **fields))
        whole = client.post(CHAT, json={"messages": STORY, **fields}).raise_for_status().json()
        texts = text, whole["choices"][0]["message"]["content"]
        return max(len(tokens.tokenize(each.encode(), add_bos=False)) for each in texts)

    assert count() > 12
    for limit in (12, 5, 1):
        assert count(max_tokens=limit) <= limit
        assert count(max_completion_tokens=limit) <= limit
    assert count() > 12


def test_a_stop_text_ends_the_answer(client: httpx.Client) -> None:
    for stop in ("e", ["q", "e"]):
        chunks = stream(client, messages=STORY, stop=stop)
        assert "e" not in text_of(chunks)
        assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


def test_it_answers_over_a_websocket(client: httpx.Client) -> None:
    address = str(client.base_url).replace("http", "ws").rstrip("/") + CHAT
    with connect(address, proxy=None) as ws:
        ws.send(json.dumps({"messages": STORY, "stream": True, "max_tokens": 8}))
        frames = []
        while (frame := ws.recv(timeout=60)) != "[DONE]":
            frames.append(json.loads(frame))
        assert text_of(frames)
        ws.send(json.dumps({"messages": "text", "request_id": "r"}))
        error = json.loads(ws.recv(timeout=60))
    assert (error["request_id"], error["status"]) == ("r", 400)


def test_what_it_would_not_survive_is_refused(client: httpx.Client) -> None:
    for fields in ({"messages": "text"}, {"messages": STORY, "temperature": "hot"}):
        response = client.post(CHAT, json=fields)
        assert response.status_code == 400
        assert response.json()["error"]["param"] in ("messages", "temperature")
    health = client.get("/health").json()
    assert health == {"status": "ready", "guests": INSTANCES}


def test_files_and_chunks_are_the_fronts(client: httpx.Client) -> None:
    text = "Paris is the capital of France.\n\nIt lies on the Seine.\n"
    given = client.post("/v1/files", files={"file": ("paris.txt", text.encode())})
    assert given.status_code == 200
    file = given.json()
    assert file["id"] in [each["id"] for each in client.get("/v1/files").json()["data"]]
    assert client.get(f"/v1/files/{file['id']}/content").text == text
    wanted = {"id": file["id"], "filename": "paris.txt", "chunk_capacity": 8}
    chunks = client.post("/v1/chunks", json=wanted).json()["chunks"]
    assert chunks == ["Paris is the capital of France.", "It lies on the Seine."]
    assert client.delete(f"/v1/files/{file['id']}").json()["deleted"] is True
