"""A conversation given as metadata becomes the prompt, by the model's own template."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.errors import GgmlError
from llamaedge_host.nn import NnErrno

from ..models import tiny
from .conftest import Load, counts, run, stream

SYSTEM = {"role": "system", "content": "You are terse."}
USER = {"role": "user", "content": "What is the capital of France?"}
PROMPT = (
    "<|im_start|>system\nYou are terse.<|im_end|>\n"
    "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
)


def give(context: GgmlContext, *messages: Any, **more: Any) -> str:
    """The prompt that the template makes of ``messages``."""
    conversation = {"messages": messages, **more}
    context.set_input(1, 3, json.dumps({"conversation": conversation}).encode())
    return context.output(2).decode()


def abilities(context: GgmlContext) -> Any:
    return json.loads(context.output(1))["chat_template"]


@pytest.fixture
def chat(load: Load) -> Iterator[GgmlContext]:
    context = load(n_predict=16, enable_chat_template=True).context()
    yield context
    context.close()


def test_a_conversation_is_the_prompt_that_its_template_writes(chat: GgmlContext) -> None:
    assert give(chat, SYSTEM, USER) == PROMPT
    size = counts(chat)[0]
    assert chat.compute() is NnErrno.SUCCESS
    answer = chat.output(0)
    assert run(chat, PROMPT.encode()) == answer
    assert counts(chat)[0] == size


def test_it_streams(chat: GgmlContext) -> None:
    give(chat, SYSTEM, USER)
    pieces = []
    while chat.compute_single() is NnErrno.SUCCESS and len(pieces) < 8:
        pieces.append(chat.output_single(0))
    assert (pieces, NnErrno.SUCCESS) == stream(chat, PROMPT.encode(), len(pieces))


def test_the_order_of_names_stays(load: Load) -> None:
    context = load(chat_template="{{ tools | tojson }}").context()
    function = {"name": "f", "parameters": {"b": {"z": 1, "y": 2}, "a": 3}}
    tools = [{"type": "function", "function": function}]
    assert json.dumps(tools) == give(context, USER, tools=tools)


def test_settings_and_a_conversation_come_together(chat: GgmlContext) -> None:
    metadata = {"n-predict": 1, "conversation": {"messages": [USER]}}
    chat.set_input(1, 3, json.dumps(metadata).encode())
    assert chat.compute() is NnErrno.SUCCESS
    assert counts(chat)[1] == 1


def test_another_template_is_used_where_one_is_given(load: Load) -> None:
    context = load(chat_template="{{ messages[0].content }}!").context()
    assert give(context, USER) == "What is the capital of France?!"


def test_what_the_template_says_is_the_reason(load: Load) -> None:
    context = load(chat_template="{{ raise_exception('Only cats may speak.') }}").context()
    with pytest.raises(GgmlError, match="Only cats may speak") as raised:
        give(context, USER)
    assert raised.value.errno is NnErrno.INVALID_ARGUMENT
    with pytest.raises(GgmlError, match="no prompt"):
        context.compute()


def test_a_conversation_too_long_is_refused_by_its_length(load: Load) -> None:
    context = load(ctx_size=256).context()
    with pytest.raises(GgmlError, match="too long: it has 1001") as raised:
        give(context, {"role": "user", "content": "a" * 100_000})
    assert raised.value.errno is NnErrno.PROMPT_TOO_LONG


def test_a_conversation_nested_too_deeply_is_refused(chat: GgmlContext) -> None:
    deep: Any = "a"
    for _ in range(900):
        deep = [deep]
    with pytest.raises(GgmlError, match=r"too deeply|no object"):
        give(chat, {**USER, "deep": deep})


def test_the_counts_tell_of_the_template_where_that_is_asked_for(
    chat: GgmlContext, load: Load
) -> None:
    assert abilities(chat)["tools"] is False
    assert "chat_template" not in json.loads(load().context().output(1))


def test_a_model_without_a_template_has_none(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, enable_chat_template=True).context()
    assert abilities(context) is None
    with pytest.raises(GgmlError, match=r"llama\.gguf has no chat template"):
        give(context, USER)


def test_a_template_that_cannot_be_used_is_told(load: Load) -> None:
    context = load(enable_chat_template=True, chat_template="{% if %}").context()
    assert "line 1" in abilities(context)["error"]


def test_a_beginning_of_text_that_the_template_writes_is_there_once(
    load: Load, tiny_llama: Path
) -> None:
    context = load(tiny_llama, chat_template="{{ bos_token }}{{ messages[0].content }}").context()
    assert give(context, {"role": "user", "content": "a"}) == "<s>a"
    with_it = counts(context)[0]
    context = load(tiny_llama, chat_template="{{ messages[0].content }}").context()
    give(context, {"role": "user", "content": "a"})
    assert counts(context)[0] == with_it


def test_a_graph_takes_the_template_of_its_file(load: Load, folder: Path) -> None:
    path = tiny.llama(folder / "chat.gguf", template="[{{ messages[0].content }}]")
    context = load(path, enable_chat_template=True).context()
    assert give(context, USER) == "[What is the capital of France?]"
