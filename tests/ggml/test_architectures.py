"""Models of many architectures: each with its own context, template and sizes."""

import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.chat.conversation import Conversation
from llamaedge_host.ggml.llama.gguf import TOKENS
from llamaedge_host.ggml.llama.library import llama, recorded
from llamaedge_host.ggml.llama.model import Models
from llamaedge_host.ggml.metadata.parse import Settings
from llamaedge_host.nn import Target

from ..models import architectures, tiny
from .conftest import run

TINY: dict[str, Callable[[Path], Path]] = {
    "gemma2": tiny.gemma,
    "mamba": tiny.mamba,
    "lfm2": tiny.lfm2,
    "bert": tiny.bert,
}
_USED = re.compile(r"(model|KV|RS|compute|output) buffer size = +([\d.]+) MiB")


def used(lines: list[str]) -> dict[str, float]:
    """Bytes that llama.cpp logs it has allocated, or mapped."""
    found = {"weights": 0.0, "cache": 0.0, "buffers": 0.0}
    kinds = {"model": "weights", "KV": "cache", "RS": "cache"}
    for line in lines:
        if match := _USED.search(line):
            found[kinds.get(match[1], "buffers")] += float(match[2]) * 2**20
    return found


def made(folder: Path, name: str) -> Path:
    path = folder / f"{name}.gguf"
    if name in TINY:
        TINY[name](path)
    else:
        architectures.model(path, name)
    return path


@pytest.mark.parametrize("name", [*architectures.CONTEXTS, *TINY])
def test_each_is_sized_without_reading_its_vocabulary(tmp_path: Path, name: str) -> None:
    path = made(tmp_path, name)
    with closing(Models().hollow(path, Settings(), Target.CPU, vocabulary=False)) as hollow:
        vocabulary = llama.llama_model_get_vocab(hollow.pointer)
        assert llama.llama_vocab_type(vocabulary) == llama.LLAMA_VOCAB_TYPE_NONE
        assert llama.llama_vocab_n_tokens(vocabulary) == hollow.header.lengths[TOKENS]


@pytest.mark.parametrize("name", [*architectures.CONTEXTS, *TINY])
def test_the_tokens_that_end_are_all_that_llama_cpp_ends_at(tmp_path: Path, name: str) -> None:
    with closing(Models().hollow(made(tmp_path, name), Settings(), Target.CPU)) as hollow:
        vocabulary = hollow.vocabulary
        all_ = [token for token in range(vocabulary.size) if vocabulary.is_end(token)]
        assert vocabulary.ends == all_


@pytest.mark.parametrize("name", [*architectures.CONTEXTS, *TINY])
def test_each_starts_with_its_own_context_template_and_sizes(tmp_path: Path, name: str) -> None:
    path = made(tmp_path, name)
    context = architectures.CONTEXTS.get(name, tiny.CONTEXT)
    embedding = name == "bert"
    backend = GgmlBackend()
    suited = backend.suited(path, Target.AUTO, {"embedding": embedding, "threads": 1})
    assert (suited.settings["ctx-size"], suited.trained) == (context, context)
    keys = {"embedding": embedding, "n-predict": 2, **suited.settings}
    with recorded() as lines:
        graph = backend.load(path, Target.AUTO, json.dumps(keys))
    engine = graph.engine()
    assert engine.cells == context
    if name not in TINY:
        conversation = Conversation.parse({"messages": [{"role": "user", "content": "the sea"}]})
        assert graph.template("").write(conversation).text.endswith(f"{name}: the sea")
    expected, found = suited.needs.whole, used(lines)
    for part, value in found.items():
        assert abs(getattr(expected, part) - value) <= 0.1 * value + 20_000, (part, found, expected)
    assert abs(expected.total - sum(found.values())) <= 0.1 * sum(found.values())
    assert run(graph.context(), b"what is the sea")
    graph.close()
    backend.close()
