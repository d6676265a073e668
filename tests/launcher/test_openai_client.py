"""`llamaedge run` on the real model, with OpenAI's own client."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from gguf import GGUFWriter
from openai import OpenAI, Stream
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from wasmtime import wat2wasm

from .running import QUESTION, START, USER, running


def ask(client: OpenAI, question: str = QUESTION, **options: Any) -> ChatCompletion:
    """The whole answer."""
    answer = client.chat.completions.create(
        model="default", messages=[{"role": "user", "content": question}], stream=False, **options
    )
    assert isinstance(answer, ChatCompletion)
    return answer


def stream(client: OpenAI, **options: Any) -> Stream[ChatCompletionChunk]:
    """The answer to QUESTION as a stream, after its first chunk."""
    answer = client.chat.completions.create(
        model="default", messages=[{"role": "user", "content": QUESTION}], stream=True, **options
    )
    assert isinstance(answer, Stream)
    return answer


@pytest.fixture(scope="module")
def url(
    tmp_path_factory: pytest.TempPathFactory, smollm2: Path, module_cache: Path
) -> Iterator[str]:
    """The address of one server for the tests that leave it as it was."""
    with running(tmp_path_factory.mktemp("server"), "--ctx-size", "1024") as server:
        yield server.wait_ready()


@pytest.fixture
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)


def test_models_are_listed(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["default"]


def test_a_chat_is_answered(client: OpenAI) -> None:
    question = "Name the capital of France."
    answer = ask(client, question, temperature=0, max_completion_tokens=32)
    message = answer.choices[0].message
    assert answer.object == "chat.completion"
    assert message.role == "assistant"
    assert "Paris" in (message.content or "")
    assert "<|im_end|>" not in (message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_gives_what_the_whole_answer_gives(client: OpenAI) -> None:
    whole = ask(client, temperature=0, max_completion_tokens=24)
    usage = {"include_usage": True}
    chunks = list(stream(client, temperature=0, max_completion_tokens=24, stream_options=usage))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    assert len([piece for piece in pieces if piece]) > 20, "frames were put together"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    usages = [answer.usage and answer.usage.total_tokens for answer in (chunks[-1], whole)]
    assert usages[0] == usages[1] and usages[0]


def test_a_stream_ends_with_done(url: str) -> None:
    message = {"role": "user", "content": QUESTION}
    body = {"model": "default", "messages": [message], "stream": True, "max_completion_tokens": 4}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        frames = [line for line in response.iter_lines() if line]
    assert all(frame.startswith("data: ") for frame in frames)
    assert frames[-1] == "data: [DONE]"


def test_a_completion_is_answered(client: OpenAI) -> None:
    answer = client.completions.create(model="default", prompt="Long long ago, ", max_tokens=8)
    assert answer.object == "text_completion"
    assert answer.choices[0].text


def test_clients_at_once_get_the_answers_they_get_alone(client: OpenAI) -> None:
    def about(city: str) -> str | None:
        question = f"In one sentence, what is {city}?"
        answer = ask(client, question, temperature=0, max_completion_tokens=12)
        return answer.choices[0].message.content

    cities = ["Paris", "Rome", "Cairo", "Lima"]
    alone = [about(city) for city in cities]
    with ThreadPoolExecutor(len(cities)) as threads:
        assert list(threads.map(about, cities)) == alone


def test_eight_streams_and_a_ninth_request_all_progress(client: OpenAI) -> None:
    progress = [0] * 8
    enough, ended = threading.Event(), threading.Event()

    def read(number: int) -> None:
        endless = {"ignore_eos": True}
        with stream(client, max_completion_tokens=900, extra_body=endless) as chunks:
            for _ in chunks:
                progress[number] += 1
                if enough.is_set():
                    return
        ended.set()

    threads = [threading.Thread(target=read, args=(number,)) for number in range(len(progress))]
    for thread in threads:
        thread.start()
    while not all(progress):
        time.sleep(0.01)
    assert ask(client, "What is two and two?", max_completion_tokens=1).choices
    assert not ended.is_set()
    enough.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("error", "path", "body"),
    [
        (openai.BadRequestError, "/chat/completions", {"model": "default", "messages": []}),
        (openai.BadRequestError, "/chat/completions", {"model": "default", "messages": 3}),
        (openai.BadRequestError, "/chat/completions", []),
        (openai.NotFoundError, "/no/such/path", {}),
    ],
)
def test_errors_are_the_clients_own(
    client: OpenAI, error: type[openai.APIStatusError], path: str, body: object
) -> None:
    with pytest.raises(error) as raised:
        client.post(path, cast_to=object, body=body)
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["message"]


def test_a_request_for_another_services_model_is_answered(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="gpt-3.5-turbo", messages=[{"role": "user", "content": "Hi"}], max_tokens=2
    )
    assert answer.model == "default"
    assert answer.choices[0].message.content


def test_a_strict_server_knows_its_own_models_alone(
    tmp_path: Path, smollm2: Path, module_cache: Path
) -> None:
    names = ("-m", "smol", "--alias", "pond,lake", "--tags", "small, fast")
    with running(tmp_path, "--ctx-size", "512", "--strict-model", *names) as server:
        client = OpenAI(base_url=f"{server.wait_ready()}/v1", api_key="none", max_retries=0)
        body: Any = {"messages": [USER], "max_tokens": 2}
        with pytest.raises(openai.NotFoundError, match=r"'gpt-3\.5-turbo' does not exist.* smol"):
            client.chat.completions.create(model="gpt-3.5-turbo", **body)
        for name in ("smol", "lake"):
            assert client.chat.completions.create(model=name, **body).model == "smol"
        told = client.models.retrieve("pond").model_dump()
        assert (told["id"], told["aliases"]) == ("smol", ["pond", "lake"])
        assert told["tags"] == ["small", "fast"]


def test_a_web_ui_is_served_beside_the_api(
    tmp_path: Path, smollm2: Path, module_cache: Path
) -> None:
    page = tmp_path / "ui" / "index.html"
    page.parent.mkdir()
    page.write_text("<p>Chat</p>")
    with running(tmp_path, "--ctx-size", "512", "--web-ui", str(page.parent)) as server:
        url = server.wait_ready()
        answer = httpx.get(f"{url}/")
        assert (answer.status_code, answer.text) == (200, "<p>Chat</p>")
        assert answer.headers["content-type"].startswith("text/html")
        assert httpx.get(f"{url}/../terminal").status_code == 404
        assert httpx.get(f"{url}/v1/models").json()["data"][0]["id"] == "default"


def test_the_terminal_shows_model_server_and_how_to_ask(
    tmp_path: Path, smollm2: Path, module_cache: Path
) -> None:
    with running(tmp_path, "--ctx-size", "512", "--model-name", "smol") as server:
        url = server.wait_ready()
        time.sleep(0.1)
        text = server.terminal.read_text()
        assert re.search(rf"^model +smol: {re.escape(smollm2.name)}, \d+ MB$", text, re.MULTILINE)
        command = re.search(rf"curl {url}/v1/chat/completions (.*) -d '(.*)'", text)
        assert command
        assert command[1] == "-H 'Content-Type: application/json'"
        assert json.loads(command[2]) == {"messages": [USER], "model": "smol"}
        assert "\x1b" not in text, "colours in a file"
        assert "Traceback" not in text


def test_a_worker_killed_in_a_stream_is_replaced(
    tmp_path: Path, smollm2: Path, module_cache: Path
) -> None:
    with running(tmp_path, "--ctx-size", "2048") as server:
        url = server.wait_ready()
        client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)
        answer = stream(client)
        next(iter(answer))
        worker = server.worker()
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(openai.APIError, match="guest ended"):
            list(answer)
        deadline = time.monotonic() + START
        while (response := httpx.get(f"{url}/v1/info")).status_code == 502:
            assert time.monotonic() < deadline, server.terminal.read_text()
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) >= 1
        while httpx.get(f"{url}/health").status_code != 200:
            assert time.monotonic() < deadline, server.terminal.read_text()
            time.sleep(0.05)
        assert server.worker() != worker
        assert ask(client, max_completion_tokens=4).choices[0].message.content
        assert "Traceback" not in server.terminal.read_text()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_two_signals_in_two_streams_end_everything(
    tmp_path: Path, smollm2: Path, module_cache: Path, number: int, code: int
) -> None:
    with running(tmp_path, "--ctx-size", "2048") as server:
        url = server.wait_ready()
        client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)
        streams = [iter(stream(client, max_completion_tokens=1500)) for _ in range(2)]
        for each in streams:
            next(each)
        worker = server.worker()
        server.process.send_signal(number)
        deadline = time.monotonic() + START
        while "; 2 under way" not in server.terminal.read_text():
            assert time.monotonic() < deadline, server.terminal.read_text()
            time.sleep(0.02)
        server.process.send_signal(number)
        assert server.process.wait(timeout=10) == code
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
        assert list(server.temporary.iterdir()) == []
        assert "Traceback" not in server.terminal.read_text()


def test_a_client_that_goes_away_frees_the_model(
    tmp_path: Path, smollm2: Path, module_cache: Path
) -> None:
    """With one sequence, the next answer would wait for the rest of an abandoned one."""
    with running(tmp_path, "--ctx-size", "8192", "--parallel", "1") as server:
        url = server.wait_ready()
        client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)
        started = time.monotonic()
        ask(client, max_completion_tokens=16)
        a_token = (time.monotonic() - started) / 16
        abandoned = stream(client, max_completion_tokens=2000)
        next(iter(abandoned))
        abandoned.close()
        started = time.monotonic()
        ask(client, max_completion_tokens=1)
        assert time.monotonic() - started < 200 * a_token


@pytest.mark.parametrize(
    ("arguments", "code", "messages"),
    [
        ("-p no-such-template", 2, ["invalid value 'no-such-template'", "ended with exit code 2"]),
        ("--guest FOLDER/broken.wasm", 1, ["broken.wasm is not a valid WebAssembly module"]),
        ("--guest FOLDER/import.wasm", 1, ["import.wasm imports moon.rise"]),
        ("--guest FOLDER/trap.wasm", 1, ["trap.wasm trapped: .*unreachable"]),
        ("--guest FOLDER/end.wasm", 1, ["end.wasm ended with exit code 0"]),
        ("-p chatml --nn-preload a:GGML:AUTO:FOLDER/broken.gguf", 1, ["'a': .*broken.gguf"]),
        ("-p chatml --nn-preload a:PIPER:AUTO:FOLDER/broken.gguf", 1, ["'a': .*PIPER"]),
    ],
)
def test_a_server_that_cannot_start_says_why_once(
    tmp_path: Path,
    smollm2: Path,
    module_cache: Path,
    arguments: str,
    code: int,
    messages: list[str],
) -> None:
    tmp_path.joinpath("broken.wasm").write_bytes(b"\0asm\1\0\0\0\xff\xff\xff")
    tmp_path.joinpath("broken.gguf").write_bytes(b"GGUF\3\0\0\0" + b"\xff" * 100)
    for name, text in {
        "import": '(import "moon" "rise" (func $f)) (func (export "_start") (call $f))',
        "trap": '(memory (export "memory") 1) (func (export "_start") unreachable)',
        "end": '(memory (export "memory") 1) (func (export "_start"))',
    }.items():
        tmp_path.joinpath(f"{name}.wasm").write_bytes(wat2wasm(f"(module {text})"))
    with running(tmp_path, *arguments.replace("FOLDER", str(tmp_path)).split()) as server:
        assert server.process.wait(timeout=START) == code
        text = server.terminal.read_text()
        errors = [line for line in text.splitlines() if "error" in line]
        assert len(errors) == len(messages), text
        for error, message in zip(errors, messages, strict=True):
            assert re.search(rf"^(error: |\[.*\] \[error\] ).*{message}", error)
        assert "Traceback" not in text
        assert list(server.temporary.iterdir()) == []


def test_a_model_that_llama_cpp_refuses_is_named_with_its_reason(
    tmp_path: Path, module_cache: Path
) -> None:
    path = tmp_path / "odd.gguf"
    writer = GGUFWriter(str(path), "quantumnet")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with running(tmp_path, "-p", "chatml", "--nn-preload", f"odd:GGML:AUTO:{path}") as server:
        assert server.process.wait(timeout=START) == 1
        last = server.terminal.read_text().splitlines()[-1]
        assert last.startswith("error: model 'odd': the model ")
        assert "unknown model architecture: 'quantumnet'" in last


def test_a_slow_client_does_not_hold_up_others(client: OpenAI) -> None:
    slow = stream(client, max_completion_tokens=200)
    next(iter(slow))
    assert ask(client, max_completion_tokens=2).choices
    slow.close()
