"""Embeddings of encoders and decoders, normalisation, reranking."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.engine.embedding import Embedder, as_json, normalized
from llamaedge_host.nn import NnErrno, Target
from llamaedge_host.nn.backend import BackendError

from .conftest import Load, counts, run

RECORDED = {
    8: 0.1102,
    14: -0.11017,
    17: -0.28648,
    25: 0.25918,
    31: 0.10832,
    59: -0.17095,
    61: -0.08103,
    140: 0.0808,
    141: -0.0895,
    173: 0.28536,
    184: 0.0891,
    199: 0.26712,
    248: 0.10741,
    299: -0.12372,
    322: 0.15579,
    345: 0.08747,
    350: 0.14361,
    353: 0.08529,
    412: 0.08692,
    471: -0.0919,
    503: 0.08437,
    506: -0.09312,
    521: -0.10846,
    531: 0.12685,
}
"""The largest values of WasmEdge's vector, by their index. Kernels and versions of llama.cpp
differ in the third digit, so only the direction is compared."""
QUESTION = b"what is the capital of france?"


def vector(context: GgmlContext, text: bytes) -> list[float]:
    said = json.loads(run(context, text))
    assert said["n_embedding"] == len(said["embedding"])
    values: list[float] = said["embedding"]
    return values


def cosine(one: list[float], other: list[float]) -> float:
    return float(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other))


def test_smollm2_gives_the_vector_that_wasmedge_gives(load: Load) -> None:
    context = load(embedding=True).context()
    values = vector(context, b"What is the capital of France?")
    assert len(values) == 576
    assert math.hypot(*values) == pytest.approx(1)
    assert counts(context) == (7, 0)
    other = vector(context, b"Bananas are yellow.")
    recorded = list(RECORDED.values())
    assert cosine([values[index] for index in RECORDED], recorded) > 0.998
    assert cosine([other[index] for index in RECORDED], recorded) < 0.95


@pytest.mark.parametrize("part", ["_account", "_answer"])
def test_a_fault_in_a_step_ends_its_inputs_alone(
    load: Load, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of order")

    graph = load(tiny_llama, embedding=True)
    embedder = graph.engine()
    expected = vector(graph.context(), QUESTION)
    with monkeypatch.context() as patch:
        patch.setattr(embedder, part, broken)
        with pytest.raises(BackendError, match="out of order"):
            vector(graph.context(), b"the sea and the bird")
    assert vector(graph.context(), QUESTION) == pytest.approx(expected)


def test_an_embedder_that_is_gone_refuses(backend: GgmlBackend, tiny_llama: Path) -> None:
    graph = backend.load(tiny_llama, Target.AUTO, '{"threads": 1, "embedding": true}')
    embedder = graph.engine()
    assert isinstance(embedder, Embedder)
    graph.close()
    with pytest.raises(BackendError, match="unloaded"):
        embedder.embed([1, 2, 3])


def test_an_encoder_tells_texts_apart(load: Load, tiny_bert: Path) -> None:
    context = load(tiny_bert, embedding=True).context()
    one, other = vector(context, QUESTION), vector(context, b"a sea of words")
    assert cosine(one, vector(context, QUESTION)) == pytest.approx(1)
    assert cosine(one, other) < 0.99


@pytest.mark.parametrize("pooling", [1, 2, 3])
def test_pooling_of_one_token_is_that_token(load: Load, tiny_llama: Path, pooling: int) -> None:
    settings = {"embedding": True, "embd_normalize": -1}
    pooled = load(tiny_llama, pooling_type=pooling, **settings).context()
    each = load(tiny_llama, pooling_type=0, **settings).context()
    assert cosine(vector(pooled, b""), vector(each, b"")) > 0.9999
    likeness = cosine(vector(pooled, b"sea"), vector(each, b"sea"))
    assert likeness > 0.9999 if pooling == 3 else likeness < 0.999


def test_inputs_of_several_contexts_do_not_mix(load: Load, tiny_bert: Path) -> None:
    graph = load(tiny_bert, embedding=True)
    texts = [b"the sea", QUESTION, b"a word", b"words of france is the sea a capital?"] * 3
    context = graph.context()
    alone = [vector(context, text) for text in texts]
    contexts = [graph.context() for _ in texts]
    with ThreadPoolExecutor(len(texts)) as pool:
        together = list(pool.map(vector, contexts, texts))
    for text, found in zip(texts, together, strict=True):
        likeness = {
            other: cosine(found, vector) for other, vector in zip(texts, alone, strict=True)
        }
        assert max(likeness, key=likeness.__getitem__) == text
        assert likeness[text] > 0.9999


def test_an_input_longer_than_a_batch_is_refused(load: Load, tiny_bert: Path) -> None:
    context = load(tiny_bert, embedding=True, batch_size=16).context()
    context.set_input(0, 3, b"the sea " * 10)
    with pytest.raises(BackendError, match=r"22 tokens, .* at most 16 \(batch-size\)") as raised:
        context.compute()
    assert raised.value.errno == NnErrno.PROMPT_TOO_LONG


@pytest.mark.parametrize("size", [1, 31, 33, 100])
def test_a_batch_may_have_any_size(load: Load, tiny_bert: Path, size: int) -> None:
    expected = vector(load(tiny_bert, embedding=True).context(), b"")
    context = load(tiny_bert, embedding=True, batch_size=size).context()
    if size > 1:
        assert cosine(vector(context, b""), expected) > 0.9999
    context.set_input(0, 3, b"the sea " * size)
    with pytest.raises(BackendError, match="batch-size"):
        context.compute()


def test_an_embedding_graph_makes_no_tokens(load: Load, tiny_bert: Path) -> None:
    context = load(tiny_bert, embedding=True).context()
    context.set_input(0, 3, QUESTION)
    with pytest.raises(BackendError) as raised:
        context.compute_single()
    assert raised.value.errno == NnErrno.UNSUPPORTED_OPERATION


def test_an_encoder_makes_no_text(load: Load, tiny_bert: Path) -> None:
    with pytest.raises(BackendError, match=r"\(bert\) is an encoder"):
        load(tiny_bert)


def test_a_reranker_gives_one_score(load: Load, tiny_reranker: Path) -> None:
    context = load(tiny_reranker, reranking=True).context()
    one, other = vector(context, QUESTION), vector(context, b"the sea")
    assert len(one) == len(other) == 1
    assert one != other


def test_embedding_can_be_switched_on_and_off(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, n_predict=4).context()
    text = run(context, b"the sea")
    context.set_input(1, 3, b'{"embedding": true}')
    assert len(vector(context, b"the sea")) == 64
    context.set_input(1, 3, b'{"embedding": false}')
    assert run(context, b"the sea") == text


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (-1, [3, -4, 0]),
        (0, [24570, -32760, 0]),
        (1, [3 / 7, -4 / 7, 0]),
        (2, [0.6, -0.8, 0]),
        (3, [3 / 91 ** (1 / 3), -4 / 91 ** (1 / 3), 0]),
    ],
)
def test_normalisation(how: int, expected: list[float]) -> None:
    values = normalized(np.array([3, -4, 0], dtype=np.float32), how)
    assert values.tolist() == pytest.approx(expected)
    assert not normalized(np.zeros(3, dtype=np.float32), how).any()


def test_the_text_has_ten_significant_digits() -> None:
    text = as_json(np.array([-0.04359516129, 0.0002988644119, 1, 0], dtype=np.float32))
    assert text == b'{"n_embedding": 4, "embedding": [-0.04359516129,0.0002988644119,1,0]}'
