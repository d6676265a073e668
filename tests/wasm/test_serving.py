"""The guest under `wasmedge` with real sockets and the real model."""

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from bench.ports import free_port
from openai import OpenAI
from openai.types.chat import ChatCompletion

from .serving import START, command, serving

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
PERSON: Any = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def url(guest: Path, smollm2: Path, module_cache: Path, port: int) -> Iterator[str]:
    with serving(guest, smollm2, port, "-p", "chatml-tool", "-c", "512", "--temp", "0") as address:
        yield address


@pytest.fixture
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=120)


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def text_of(url: str, number: int, *, tokens: int = 12) -> str:
    """The streamed answer to a question about ``number``, judged frame by frame."""
    body = {
        "messages": user(f"Tell me about the number {number}."),
        "max_tokens": tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=120) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    chunks = [json.loads(line) for line in lines]
    usage = chunks.pop()
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == tokens
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [choice["index"] for choice in choices if "role" in choice["delta"]] == [0]
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + [
        "length"
    ]
    return "".join(choice["delta"].get("content", "") for choice in choices)


@pytest.mark.timeout(START + 300)
def test_ten_streams_at_once_each_have_the_text_they_have_alone(url: str) -> None:
    alone = [text_of(url, number) for number in range(10)]
    assert len(set(alone)) > 1
    with ThreadPoolExecutor(10) as threads:
        assert list(threads.map(lambda number: text_of(url, number), range(10))) == alone


@pytest.mark.timeout(START + 120)
def test_others_are_served_during_streams(url: str) -> None:
    body = {"messages": user("Count."), "max_tokens": 200, "stream": True}
    with (
        httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60) as first,
        httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60) as second,
    ):
        assert next(first.iter_bytes()) and next(second.iter_bytes())
        assert httpx.get(f"{url}/v1/models", timeout=20).status_code == 200


@pytest.mark.timeout(START + 120)
def test_a_client_that_goes_ends_its_computation(url: str) -> None:
    body = {"messages": user("Write a very long story."), "max_tokens": 400, "stream": True}
    started = time.monotonic()
    for _ in range(12):
        with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60) as abandoned:
            assert next(abandoned.iter_bytes())
    assert text_of(url, 1, tokens=2)
    assert time.monotonic() - started < 100


@pytest.mark.timeout(START + 120)
def test_a_required_call(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="default",
        messages=user("How is the weather in Paris?"),
        tools=[WEATHER],
        tool_choice="required",
    )
    assert isinstance(answer, ChatCompletion)
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None
    calls: Any = answer.choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather"]
    assert isinstance(json.loads(calls[0].function.arguments)["city"], str)
    messages = [
        *user("How is the weather in Paris?"),
        answer.choices[0].message.to_dict(),
        {"role": "tool", "tool_call_id": calls[0].id, "content": '{"degrees": 21}'},
    ]
    result: Any = client.chat.completions.create(
        model="default", messages=messages, tools=[WEATHER], max_tokens=20
    )
    assert result.choices[0].message.content or result.choices[0].message.tool_calls


@pytest.mark.timeout(START + 120)
def test_a_call_is_streamed_as_it_is_made(client: OpenAI) -> None:
    stream: Any = client.chat.completions.create(
        model="default",
        messages=user("How is the weather in Paris?"),
        tools=[WEATHER],
        tool_choice="required",
        stream=True,
    )
    choices = [chunk.choices[0] for chunk in stream]
    pieces = [choice.delta.tool_calls[0] for choice in choices if choice.delta.tool_calls]
    assert pieces[0].id and pieces[0].function.name == "get_weather"
    assert [piece.id for piece in pieces[1:]] == [None] * (len(pieces) - 1)
    assert len(pieces) > 4
    arguments = "".join(piece.function.arguments for piece in pieces)
    assert isinstance(json.loads(arguments)["city"], str)
    assert not any(choice.delta.content for choice in choices)
    assert choices[-1].finish_reason == "tool_calls"


@pytest.mark.timeout(START + 120)
@pytest.mark.parametrize("tokens", [1, 4, 16])
def test_a_call_that_is_cut_off_is_no_content(client: OpenAI, tokens: int) -> None:
    answer: Any = client.chat.completions.create(
        model="default",
        messages=user("How is the weather in Paris?"),
        tools=[WEATHER],
        tool_choice="required",
        max_tokens=tokens,
    )
    assert not answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.timeout(START + 120)
@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_schema", "json_schema": {"name": "p", "strict": True, "schema": PERSON}},
        {"type": "json_object", "schema": PERSON},
    ],
    ids=["json_schema", "json_object"],
)
def test_a_json_schema_is_followed(client: OpenAI, form: Any) -> None:
    answer: Any = client.chat.completions.create(
        model="default",
        messages=user("Describe a person as JSON."),
        response_format=form,
        max_tokens=60,
    )
    person = json.loads(answer.choices[0].message.content)
    assert isinstance(person["name"], str)
    assert isinstance(person["age"], int)
    free: Any = client.chat.completions.create(
        model="default", messages=user("Say hello."), max_tokens=10
    )
    assert not free.choices[0].message.content.lstrip().startswith("{")


@pytest.mark.timeout(START + 120)
def test_a_prompt_too_long_is_refused_with_both_numbers(url: str) -> None:
    answer = httpx.post(
        f"{url}/v1/chat/completions", json={"messages": user("word " * 600)}, timeout=60
    )
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert "512" in error["message"]


@pytest.mark.timeout(START + 120)
def test_embeddings(guest: Path, smollm2: Path, free_port: int) -> None:
    with serving(guest, smollm2, free_port, "-p", "embedding", "-c", "256", "-b", "256") as url:
        client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)
        answer = client.embeddings.create(model="default", input=["Paris", "London"])
        plain = client.embeddings.create(model="default", input="Paris", encoding_format="float")
        assert [item.index for item in answer.data] == [0, 1]
        assert answer.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
        assert answer.data[0].embedding != answer.data[1].embedding
        assert answer.usage.prompt_tokens > 1
        numbers = client.embeddings.create(model="default", input=[[1, 2], [3]])
        assert [item.index for item in numbers.data] == [0, 1]
        assert numbers.usage.prompt_tokens == 3


@pytest.mark.timeout(START)
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("-p", "nope"), 2, "invalid value 'nope' for '--prompt-template <PROMPT_TEMPLATE>'"),
        (("--nope",), 2, "unexpected argument '--nope'"),
        (("-p", "chatml", "-a", "other"), 1, "no model is preloaded as 'other'"),
        (("-p", "chatml", "--socket-addr", "127.0.0.1:{port}"), 1, "Address already in use"),
    ],
)
def test_a_start_that_fails_says_why(
    guest: Path,
    smollm2: Path,
    url: str,
    port: int,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    given = [argument.format(port=port) for argument in arguments]
    done = subprocess.run(command(guest, smollm2, *given), capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stderr.count("error: ") == 1
