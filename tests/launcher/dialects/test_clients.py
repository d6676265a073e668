"""Anthropic's and Ollama's own clients against `llamaedge run` with the demo model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import ollama
import pytest

from ..running import running

QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
WEATHER = [{"role": "user", "content": "How is the weather in Paris?"}]
CITY = {"type": "object", "properties": {"city": {"const": "Paris"}}, "required": ["city"]}
GREEDY: dict[str, Any] = {"temperature": 0}


@pytest.fixture(scope="module")
def url(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("server"), str(smollm2), "--api-key", "k") as server:
        yield server.wait_ready()


@pytest.fixture
def claude(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key="k", max_retries=0, timeout=120)


@pytest.fixture
def llama(url: str) -> ollama.Client:
    return ollama.Client(host=url, headers={"Authorization": "Bearer k"}, timeout=120)


def test_a_message_whole_and_streamed(claude: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {
        "model": "default", "max_tokens": 12, "messages": QUESTION, "extra_body": GREEDY
    }  # fmt: skip
    whole = claude.messages.create(**asked)
    with claude.messages.stream(**asked) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert text == streamed.content[0].text == whole.content[0].text  # type: ignore[union-attr]
    assert len(text) > 3
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.usage.output_tokens == whole.usage.output_tokens > 1
    counted = claude.messages.count_tokens(model="default", messages=QUESTION)  # type: ignore[arg-type]
    used = whole.usage
    assert counted.input_tokens == used.input_tokens + (used.cache_read_input_tokens or 0)


def test_tools_there_and_back(claude: anthropic.Anthropic) -> None:
    tool = {"name": "weather", "description": "The weather", "input_schema": CITY}
    asked: dict[str, Any] = {"model": "default", "max_tokens": 60, "tools": [tool]}
    asked |= {"tool_choice": {"type": "tool", "name": "weather"}, "extra_body": GREEDY}
    with claude.messages.stream(messages=WEATHER, **asked) as stream:
        said = stream.get_final_message()
    (use,) = said.content
    assert isinstance(use, anthropic.types.ToolUseBlock)
    assert (said.stop_reason, use.name, use.input) == ("tool_use", "weather", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "It is sunny."}
    turns = [
        *WEATHER,
        {"role": "assistant", "content": said.content},
        {"role": "user", "content": [result]},
    ]
    asked["tool_choice"] = {"type": "none"}
    last = claude.messages.create(messages=turns, **asked)
    assert last.content[0].type == "text"


def test_errors_are_the_clients(claude: anthropic.Anthropic, url: str) -> None:
    with pytest.raises(anthropic.BadRequestError, match="messages"):
        claude.messages.create(model="default", max_tokens=1, messages=[{"role": "x"}])  # type: ignore[list-item]
    stranger = anthropic.Anthropic(base_url=url, api_key="no", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(model="default", max_tokens=1, messages=QUESTION)  # type: ignore[arg-type]


def test_a_stream_may_be_left(claude: anthropic.Anthropic) -> None:
    with claude.messages.stream(
        model="default", max_tokens=500, messages=[{"role": "user", "content": "Tell a long tale."}]
    ) as stream:
        assert next(iter(stream.text_stream))
    assert claude.messages.count_tokens(model="default", messages=QUESTION).input_tokens  # type: ignore[arg-type]


def test_chat_and_generate(llama: ollama.Client) -> None:
    options = {"temperature": 0, "num_predict": 12, "num_ctx": 2048}
    whole = llama.chat(model="default", messages=QUESTION, options=options)
    parts = list(llama.chat(model="default", messages=QUESTION, options=options, stream=True))
    text = "".join(each.message.content or "" for each in parts)
    assert text == whole.message.content
    assert (parts[-1].done, parts[-1].eval_count) == (True, whole.eval_count)
    prompt = QUESTION[0]["content"]
    assert llama.generate(model="default", prompt=prompt, options=options).response == text
    raw = llama.generate("default", "The capital of France is", raw=True, options=options)
    assert "Paris" in str(raw.response)


def test_a_format_and_tools(llama: ollama.Client) -> None:
    options = {"temperature": 0, "num_predict": 60}
    layout = {**CITY, "additionalProperties": False}
    said = llama.chat(model="default", messages=QUESTION, format=layout, options=options)
    assert '"Paris"' in str(said.message.content)
    with pytest.raises(ollama.ResponseError, match=r"options\.num_ctx") as refused:
        llama.chat(model="default", messages=QUESTION, options={"num_ctx": 10**7})
    assert refused.value.status_code == 400


def test_models(llama: ollama.Client, smollm2: Path) -> None:
    listed = {each.model: each for each in llama.list().models}
    assert smollm2.stem in listed
    assert listed[smollm2.stem].size == smollm2.stat().st_size
    assert smollm2.stem in [each.model for each in llama.ps().models]
    shown = llama.show(smollm2.stem)
    assert "completion" in (shown.capabilities or [])
    assert shown.details
    assert shown.details.family == "llama"
    with pytest.raises(ollama.ResponseError, match="not found"):
        llama.show("other")
