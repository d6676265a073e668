"""Drafts by a smaller model: the same text, the same distribution, and what is refused."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.engine import drafter, engine
from llamaedge_host.ggml.engine.costs import GPU
from llamaedge_host.ggml.engine.counters import Counters
from llamaedge_host.ggml.engine.drafter import Drafter
from llamaedge_host.ggml.engine.engine import Engine
from llamaedge_host.ggml.engine.scheduler import Part
from llamaedge_host.ggml.errors import GgmlError
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.ggml.llama import draft
from llamaedge_host.nn import NnErrno, Target

from ..models import sized, tiny, writer
from .conftest import run, stream
from .greedy import Greedy

SILENT = 24
"""Layers that make a model slower and nothing else."""
TEXT = b"abcdefgh ijklmnop qrstuv"
KEYS: dict[str, Any] = {
    "threads": 1,
    "ctx-size": 512,
    "temp": 0.0,
    "repeat-penalty": 1.0,
    "ignore-eos": True,
    "n-predict": 64,
}


@pytest.fixture(scope="module")
def small(folder: Path) -> Path:
    return tiny.llama(folder / "small.gguf", seed=3)


@pytest.fixture(scope="module")
def same(folder: Path, small: Path) -> Path:
    """A model that says what ``small`` says, and takes many times as long."""
    return sized.deepened(small, folder / "same.gguf", SILENT)


@pytest.fixture(scope="module")
def sure(folder: Path, small: Path) -> Path:
    """One that is sure of each token, and says what ``small`` would say, were it as sure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "SHARP", 20 * writer.SHARP)
        return sized.deepened(
            tiny.llama(folder / "sharp.gguf", seed=3), folder / "sure.gguf", SILENT
        )


@pytest.fixture(scope="module")
def other(folder: Path) -> Path:
    """A model that says other things than ``small``, with its tokens."""
    return sized.deepened(tiny.llama(folder / "else.gguf", seed=4), folder / "other.gguf", SILENT)


@pytest.fixture(scope="module")
def drafting(small: Path) -> Iterator[GgmlBackend]:
    made = GgmlBackend(parallel=4, preloaded={"draft": small})
    yield made
    made.close()


def load(backend: GgmlBackend, path: Path, name: str = "draft", **keys: Any) -> GgmlGraph:
    changes = {key.replace("_", "-"): value for key, value in keys.items()}
    config = KEYS | {"model-draft": name} | changes
    return backend.load(path, Target.AUTO, json.dumps(config))


def told(graph: GgmlGraph) -> Counters:
    computing = graph.engine()
    assert isinstance(computing, Engine)
    return computing.counters


def answer(backend: GgmlBackend, path: Path, name: str, **keys: Any) -> bytes:
    graph = load(backend, path, name, **keys)
    try:
        return run(graph.context(), TEXT)
    finally:
        graph.close()


def test_all_is_accepted_that_an_equal_model_drafts(drafting: GgmlBackend, same: Path) -> None:
    graph = load(drafting, same, top_k=1, n_predict=150)
    run(graph.context(), TEXT)
    counters = told(graph)
    assert counters.draft_model_tokens_accepted == counters.draft_model_tokens > 50
    assert counters.step_seconds.total < 100
    graph.close()


@pytest.mark.parametrize("model", ["same", "other"])
def test_a_greedy_text_is_as_good_as_without_a_draft_model(
    drafting: GgmlBackend, request: pytest.FixtureRequest, model: str
) -> None:
    path = request.getfixturevalue(model)
    plain = answer(drafting, path, "", n_max_speculative=0)
    graph = load(drafting, path)
    context = graph.context()
    text = run(context, TEXT)
    vocabulary = graph.model.vocabulary
    prompt = vocabulary.tokenize(TEXT, special=True)
    tokens = [*prompt, *vocabulary.tokenize(text, special=True)]
    graph.close()
    if text != plain:
        assert np.max(Greedy(path, 512).shortfall(tokens, len(prompt))) < 1e-3


@pytest.mark.parametrize("model", ["same", "other"])
def test_a_seed_makes_the_text_that_it_makes_without_a_draft_model(
    drafting: GgmlBackend, request: pytest.FixtureRequest, model: str
) -> None:
    path = request.getfixturevalue(model)
    keys = {"temp": 0.7, "seed": 11, "top_k": 4}
    plain = answer(drafting, path, "", n_max_speculative=0, **keys)
    assert answer(drafting, path, "draft", **keys) == plain


def test_sampled_tokens_have_the_distribution_of_the_large_model(
    drafting: GgmlBackend, same: Path
) -> None:
    """By chi-square: the tokens at one place that drafts reach, of many seeds, with and without."""
    keys = {"temp": 1.0, "top_k": 4, "n_predict": 6, "min_p": 0.0, "top_p": 1.0}
    found: list[Counter[bytes]] = []
    for name, longest in (("draft", 15), ("", 0)):
        graph = load(drafting, same, name, n_max_speculative=longest, **keys)
        texts: Counter[bytes] = Counter()
        for seed in range(200):
            context = graph.context()
            context.set_input(1, 3, json.dumps({"seed": seed + (1000 if name else 0)}).encode())
            texts[run(context, TEXT)[:2]] += 1
            context.close()
        assert bool(name) == bool(told(graph).draft_model_tokens)
        graph.close()
        found.append(texts)
    often = [each for each in found[0] | found[1] if found[0][each] + found[1][each] >= 10]
    rows = np.array([[texts[each] for each in often] for texts in found], dtype=float)
    rows = np.hstack([rows, 200 - rows.sum(axis=1, keepdims=True)])
    rows = rows[:, rows.sum(axis=0) > 0]
    expected = rows.sum(axis=0) / 2
    chi_square = float(((rows - expected) ** 2 / expected).sum())
    freedom = rows.shape[1] - 1
    assert freedom >= 2
    assert chi_square < freedom + 5 * (2 * freedom) ** 0.5


def test_several_sequences_are_drafted_for_at_once(
    drafting: GgmlBackend, sure: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [TEXT, b"the sea and the"]
    graph = load(drafting, sure, "draft", top_k=1)
    plain = load(drafting, sure, "", top_k=1, n_max_speculative=0)
    expected = [run(plain.context(), prompt)[:40] for prompt in prompts]
    widths: list[int] = []
    make = Drafter._make

    def counted(made: Drafter, drafts: list[Any], value: float) -> None:
        widths.append(len(drafts))
        make(made, drafts, value)

    monkeypatch.setattr(Drafter, "_make", counted)
    contexts = [graph.context() for _ in prompts]
    for context, prompt in zip(contexts, prompts, strict=True):
        context.set_input(0, 3, prompt)
    for _ in range(40):
        for context in contexts:
            assert context.compute_single() is NnErrno.SUCCESS
    made = [context.output(0) for context in contexts]
    assert [text[:20] for text in made] == [text[:20] for text in expected]
    counters = told(graph)
    assert counters.draft_model_tokens_accepted > 0
    assert max(width for width in widths) > 1
    for context in contexts:
        context.close()
    graph.close()
    plain.close()


def test_a_model_that_foretells_badly_is_hardly_asked(drafting: GgmlBackend, other: Path) -> None:
    graph = load(drafting, other, n_predict=300, temp=1.0, seed=5, n_max_speculative=15)
    run(graph.context(), TEXT)
    counters = told(graph)
    lost = counters.draft_model_tokens - counters.draft_model_tokens_accepted
    assert lost < 30
    graph.close()


def test_a_model_that_can_save_nothing_is_not_asked(
    drafting: GgmlBackend, same: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafter, "drafting", lambda *_: (0.6, 0.0))
    graph = load(drafting, same, top_k=1)
    run(graph.context(), TEXT)
    assert told(graph).draft_model_steps == 0
    graph.close()


def test_where_a_draft_begins_dear_it_is_long_or_none(
    drafting: GgmlBackend, same: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    judge = Drafter.judge

    def noted(made: Drafter, part: Part, right: int, value: float) -> None:
        lengths.extend([len(part.draft)] * bool(part.further))
        judge(made, part, right, value)

    monkeypatch.setattr(Drafter, "judge", noted)
    monkeypatch.setattr(engine, "costs", lambda _: replace(GPU, draft=3.0))
    monkeypatch.setattr(drafter, "drafting", lambda *_: (0.2, 0.5))
    graph = load(drafting, same, top_k=1, n_predict=150)
    run(graph.context(), TEXT)
    graph.close()
    assert lengths[0] >= 5, "3.5 steps are saved by five tokens of which each saves 0.7"
    assert min(filter(None, lengths)) >= 5
    assert max(lengths) > 20


def test_a_draft_that_is_not_likely_to_pay_is_not_computed(
    drafting: GgmlBackend, same: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five tokens are made, 2.7 are likely to come true, and computing them takes 3.5 steps."""
    monkeypatch.setattr(engine, "costs", lambda _: replace(GPU, draft=3.0))
    monkeypatch.setattr(drafter, "drafting", lambda *_: (0.2, 0.0))
    monkeypatch.setattr(drafter._Odds, "of", lambda *_: 0.8)
    graph = load(drafting, same, top_k=1, n_predict=40)
    run(graph.context(), TEXT)
    counters = told(graph)
    graph.close()
    assert counters.draft_model_steps >= 5
    assert counters.draft_model_tokens == 0


def test_a_text_longer_than_the_draft_models_memory_goes_on(
    drafting: GgmlBackend, same: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "CELLS", 80)
    graph = load(drafting, same, n_predict=-1, temp=0.5, seed=2, ctx_size=500)
    context = graph.context()
    context.set_input(0, 3, TEXT)
    assert context.compute() is NnErrno.CONTEXT_FULL
    counters = told(graph)
    computing = graph.engine()
    assert isinstance(computing, Engine) and computing._drafter is not None
    assert computing._drafter._slots[0].begin > 100
    assert counters.draft_model_tokens_accepted > 0.5 * counters.draft_model_tokens > 5
    assert counters.failed_steps == 0
    graph.close()


def test_another_sequence_of_a_slot_is_drafted_for_anew(drafting: GgmlBackend, same: Path) -> None:
    graph = load(drafting, same, top_k=1)
    for prompt in (TEXT, TEXT[:8], b"sea the sea", TEXT + b" and"):
        pieces, _ = stream(graph.context(), prompt, most=30)
        assert len(pieces) == 30
    counters = told(graph)
    assert counters.draft_model_tokens_accepted > 0.9 * counters.draft_model_tokens > 0
    graph.close()


def test_what_is_drafted_is_changed_at_once(drafting: GgmlBackend, same: Path) -> None:
    graph = load(drafting, same, "", top_k=1)
    context = graph.context()
    run(context, TEXT)
    assert told(graph).draft_model_steps == 0
    context.set_input(1, 3, b'{"model-draft": "draft"}')
    run(context, TEXT)
    assert told(graph).draft_model_steps > 0
    with pytest.raises(GgmlError, match="no model is preloaded as 'nobody'"):
        context.set_input(1, 3, b'{"model-draft": "nobody"}')
    run(context, TEXT)
    context.set_input(1, 3, b'{"model-draft": ""}')
    run(context, TEXT)
    assert told(graph).draft_model_steps == 0
    graph.close()


def test_a_draft_model_is_counted_in_what_is_needed(drafting: GgmlBackend, same: Path) -> None:
    alone = drafting.suited(same, Target.CPU, {"ctx-size": 512})
    both = drafting.suited(same, Target.CPU, {"ctx-size": 512, "model-draft": "draft"})
    assert both.needs.whole.weights > alone.needs.whole.weights
    assert both.needs.whole.cache > alone.needs.whole.cache
    assert both.swap == alone.swap


def refusal(model: Path, small: Path) -> str:
    backend = GgmlBackend(preloaded={"draft": small})
    try:
        with pytest.raises(GgmlError) as refused:
            backend.suited(model, Target.CPU, {"model-draft": "draft"})
        with pytest.raises(GgmlError, match="cannot be used"):
            load(backend, model)
        return str(refused.value)
    finally:
        backend.close()


def test_other_tokens_are_refused(same: Path, folder: Path) -> None:
    more = sized.llama(folder / "more.gguf", width=64, layers=1, feed=64, vocabulary=900)
    assert "there are 900 and 291 tokens" in refusal(same, more)


def test_the_same_tokens_with_other_texts_are_refused(
    same: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = list(writer.WORDS)
    words[3] = "zebra"
    monkeypatch.setattr(writer, "WORDS", tuple(words))
    different = tiny.llama(folder / "words.gguf")
    assert "token 264 is 'zebra' and 'd'" in refusal(same, different)


def test_a_model_as_large_is_refused(small: Path) -> None:
    assert "takes 100% of one of small.gguf" in refusal(small, small)


def test_a_memory_that_cannot_be_cut_is_refused(same: Path, tiny_mamba: Path) -> None:
    assert "makes no drafts" in refusal(same, tiny_mamba)
    assert "has no drafts" in refusal(tiny_mamba, same)
