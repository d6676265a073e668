"""Prompts of token numbers, of texts among them, and of what stands around a gap."""

import json
from pathlib import Path
from typing import Any

import pytest

from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.outputs import ABILITIES_INDEX, TOKENS_INDEX
from llamaedge_host.nn import NnErrno
from llamaedge_host.nn.backend import BackendError

from ..models import tiny
from .conftest import FRANCE, Load, run


def give(context: GgmlContext, **document: Any) -> None:
    context.set_input(1, 3, json.dumps(document).encode())


def answer(context: GgmlContext) -> bytes:
    assert context.compute() is NnErrno.SUCCESS
    return context.output(0)


def test_tokens_are_a_prompt_as_their_text_is(load: Load) -> None:
    graph = load(n_predict=8)
    context, vocabulary = graph.context(), graph.model.vocabulary
    text = run(context, FRANCE)
    tokens = vocabulary.tokenize(FRANCE)
    give(context, prompt=tokens)
    assert answer(context) == text
    assert context.output(2) == FRANCE
    give(context, prompt=[*tokens[:4], vocabulary.piece(tokens[4]).decode(), *tokens[5:]])
    assert answer(context) == text
    give(context, prompt=[FRANCE.decode()])
    assert answer(context) == text


def test_the_first_text_alone_begins_as_the_model_expects(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama).context()

    def size(*parts: Any) -> int:
        give(context, prompt=list(parts))
        return int(json.loads(context.output(1))["input_tokens"])

    assert size("a", 9, "a") == size("a") + 1 + size(9, "a") - 1
    assert size("a") == size(9, "a")  # one is <s>, the other 9


def test_the_tokens_of_a_prompt_are_told(load: Load) -> None:
    graph = load()
    context, vocabulary = graph.context(), graph.model.vocabulary

    def tokens(**document: Any) -> list[int]:
        give(context, prompt=document)
        told = json.loads(context.output(TOKENS_INDEX))
        assert all(bytes(row["bytes"]) == vocabulary.piece(row["id"]) for row in told)
        return [row["id"] for row in told]

    text = "<|im_start|>sea"
    assert tokens(parts=[text]) == vocabulary.tokenize(text.encode())
    assert tokens(parts=[text], special=False) == vocabulary.tokenize(text.encode(), special=False)
    names = vocabulary.tokenize(text.encode(), special=False, control=False)
    assert tokens(parts=[text], special=False, control=False) == names
    assert len(names) > 2
    assert tokens(parts=[]) == []


@pytest.mark.parametrize("bad", [[-1], [10**9], [True], [1.5], ["a", None], "a", {}, None], ids=str)
def test_what_is_no_prompt_is_refused(load: Load, tiny_llama: Path, bad: Any) -> None:
    context = load(tiny_llama).context()
    with pytest.raises(BackendError) as raised:
        give(context, prompt=bad)
    assert raised.value.errno is NnErrno.INVALID_ARGUMENT


def test_a_gap_is_filled_by_the_models_own_tokens(load: Load, tmp_path: Path) -> None:
    graph = load(tiny.llama(tmp_path / "infill.gguf", infill=True), n_predict=4)
    context = graph.context()
    assert json.loads(context.output(ABILITIES_INDEX))["infill"] is True
    give(context, infill={"prefix": ["the"], "suffix": ["sea", 9]})
    before, behind, middle = tiny.INFILL
    the, sea = (graph.model.vocabulary.tokenize(text, special=False) for text in (b"the", b"sea"))
    filled = answer(context)
    give(context, prompt=[1, before, *the, behind, *sea, 9, middle])
    assert answer(context) == filled
    for bad in ({"prefix": ["a"]}, {"prefix": "a", "suffix": []}, "x"):
        with pytest.raises(BackendError):
            give(context, infill=bad)


def test_a_model_that_cannot_fill_in_says_so(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama).context()
    assert json.loads(context.output(ABILITIES_INDEX))["infill"] is False
    with pytest.raises(BackendError, match="cannot fill in"):
        give(context, infill={"prefix": ["a"], "suffix": ["b"]})


def test_a_long_prompt_in_parts_is_refused_before_it_is_read(load: Load, tiny_llama: Path) -> None:
    with pytest.raises(BackendError) as raised:
        give(load(tiny_llama).context(), prompt=["x" * 70_000])
    assert raised.value.errno is NnErrno.PROMPT_TOO_LONG
