"""LoRA adapters: scaled for all, by request, and never mixed."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.engine.engine import Engine
from llamaedge_host.ggml.errors import GgmlError
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.ggml.keeping import Keeping
from llamaedge_host.ggml.llama.adapters import AdapterFile
from llamaedge_host.nn import NnErrno, Target

from ..models import tiny
from .conftest import run

KEYS = {"temp": 0, "ctx-size": 256, "threads": 1, "n-predict": 12, "ignore-eos": True}
PROMPT = b"the sea and the bird " * 6


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    first, second = tiny.lora(folder / "a.gguf"), tiny.lora(folder / "b.gguf", seed=2)
    return tiny.llama(folder / "m.gguf"), first, second


@pytest.fixture(scope="module")
def served(files: tuple[Path, Path, Path]) -> Iterator[tuple[GgmlBackend, GgmlGraph]]:
    model, first, second = files
    backend = GgmlBackend(parallel=3, adapters=[AdapterFile(first, 0.0), AdapterFile(second, 0.0)])
    graph = backend.load(model, Target.AUTO, json.dumps(KEYS))
    yield backend, graph
    graph.close()
    backend.close()


def ask(graph: GgmlGraph, scales: dict[int, float] | None, prompt: bytes = PROMPT) -> bytes:
    context = graph.context()
    if scales is not None:
        lora = json.dumps([{"id": number, "scale": scale} for number, scale in scales.items()])
        context.set_input(1, 1, json.dumps({"lora": lora, "cache-prompt": True}).encode())
    answer = run(context, prompt)
    context.close()
    return answer


def plain(files: tuple[Path, Path, Path], *adapters: AdapterFile) -> bytes:
    backend = GgmlBackend(parallel=1, adapters=adapters)
    graph = backend.load(files[0], Target.AUTO, json.dumps(KEYS))
    try:
        return ask(graph, None)
    finally:
        graph.close()
        backend.close()


def test_a_scale_of_nothing_is_the_model_itself(
    files: tuple[Path, Path, Path], served: tuple[GgmlBackend, GgmlGraph]
) -> None:
    _, graph = served
    assert ask(graph, None) == ask(graph, {}) == plain(files)


def test_what_a_request_asks_for_is_what_the_option_would_be(
    files: tuple[Path, Path, Path], served: tuple[GgmlBackend, GgmlGraph]
) -> None:
    _, graph = served
    answers = [ask(graph, scales) for scales in ({}, {0: 1.0}, {1: 1.0}, {0: 1.0, 1: 0.5})]
    assert len(set(answers)) == 4
    assert answers[1] == plain(files, AdapterFile(files[1]))
    assert answers[2] == plain(files, AdapterFile(files[2]))
    assert answers[3] == plain(files, AdapterFile(files[1]), AdapterFile(files[2], 0.5))


def test_sequences_with_other_adapters_compute_beside_each_other(
    served: tuple[GgmlBackend, GgmlGraph],
) -> None:
    _, graph = served
    asked: list[dict[int, float]] = [{}, {0: 1.0}, {1: 1.0}, {0: 1.0}, {}]
    alone = [ask(graph, scales) for scales in asked]
    with ThreadPoolExecutor(len(asked)) as pool:
        together = list(pool.map(lambda scales: ask(graph, scales), asked))
    assert together == alone


def test_what_one_adapter_computed_is_nothing_to_another(
    served: tuple[GgmlBackend, GgmlGraph],
) -> None:
    _, graph = served
    engine = graph.engine()
    assert isinstance(engine, Engine)
    prompt = b"a fish with a wing " * 6

    def reused(scales: dict[int, float]) -> int:
        before = engine.counters.prompt_tokens_reused
        ask(graph, scales, prompt)
        return engine.counters.prompt_tokens_reused - before

    assert reused({0: 0.25}) == 0
    assert reused({0: 0.75}) == 0
    assert reused({0: 0.25}) > 20


def test_the_servers_scales_are_for_those_who_ask_for_none(
    served: tuple[GgmlBackend, GgmlGraph],
) -> None:
    backend, graph = served
    base, changed = ask(graph, {}), ask(graph, {1: 1.0})
    try:
        backend.scale_adapters([{"id": 1, "scale": 1}])
        assert [each.scale for each in backend.adapters()] == [0.0, 1.0]
        assert ask(graph, None) == changed
        assert ask(graph, {}) == base
    finally:
        backend.scale_adapters([])
    assert ask(graph, None) == base


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ({"id": 0}, "an array"),
        ([{"id": 2, "scale": 1}], "names no adapter; there are 2"),
        ([{"id": -1, "scale": 1}], "names no adapter"),
        ([{"id": True, "scale": 1}], "names no adapter"),
        ([5], "names no adapter"),
        ([{"id": 0}], "must be a number"),
        ([{"id": 0, "scale": "1"}], "must be a number"),
        ([{"id": 0, "scale": float("nan")}], "must be finite"),
    ],
    ids=str,
)
def test_a_wrong_scale_is_told(served: tuple[GgmlBackend, GgmlGraph], pairs: Any, why: str) -> None:
    backend, graph = served
    with pytest.raises(GgmlError, match=why) as caught:
        backend.scale_adapters(pairs)
    assert caught.value.errno is NnErrno.INVALID_ARGUMENT
    context = graph.context()
    context.set_input(1, 1, json.dumps({"lora": json.dumps(pairs)}).encode())
    context.set_input(0, 1, PROMPT)
    with pytest.raises(GgmlError, match=why):
        context.compute()
    context.close()


def test_a_file_that_is_no_adapter_for_the_model_is_refused(
    files: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    model = files[0]
    gemma = tiny.lora(tmp_path / "gemma.gguf", architecture="gemma2")
    junk = tmp_path / "junk.gguf"
    junk.write_bytes(b"GGUF junk")
    cases = {model: "no adapter", gemma: "for gemma2 models", junk: "cannot be used"}
    cases[tmp_path / "none.gguf"] = "No such file"
    for path, why in cases.items():
        with pytest.raises(GgmlError, match=why):
            plain(files, AdapterFile(path))


def test_state_files_belong_to_their_adapters(
    files: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    model, first, second = files
    keeping = Keeping(folder=tmp_path / "kept")

    def restored(*adapters: AdapterFile, scales: dict[int, float]) -> int:
        backend = GgmlBackend(parallel=2, keeping=keeping, adapters=adapters)
        graph = backend.load(model, Target.AUTO, json.dumps(KEYS))
        engine = graph.engine()
        assert isinstance(engine, Engine)
        ask(graph, scales)
        count = engine.counters.restored
        graph.close()
        backend.close()
        return count

    assert restored(AdapterFile(first), scales={0: 1.0}) == 0
    assert restored(AdapterFile(first), scales={0: 0.5}) == 0
    assert restored(AdapterFile(second), scales={0: 1.0}) == 0
    assert restored(AdapterFile(first), scales={0: 1.0}) == 1
