"""Loading, changing and unloading graphs; what is logged; several models."""

import json
import logging
import os
import resource
import sys
from pathlib import Path
from typing import Any
from weakref import ref

import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.llama.model import Model
from llamaedge_host.nn import NeuralNetwork, Preload, Target

from .conftest import Load, run, stream

SEA = b"the sea and the sea"
LOADS, ROUNDS = 200, 4
LEAK = 2048
"""Bytes that a load leaves behind in every round, if it leaks; allocators grow in one of them."""


def test_chat_and_embedding_side_by_side(load: Load, tiny_llama: Path, tiny_bert: Path) -> None:
    chat, embedding = load(tiny_llama, n_predict=6), load(tiny_bert, embedding=True)
    talks, embeds = chat.context(), embedding.context()
    text, vector = run(talks, SEA), run(embeds, SEA)
    assert (run(talks, SEA), run(embeds, SEA)) == (text, vector)


@pytest.mark.parametrize("key", ["rope_freq_base", "rope_freq_scale"])
def test_rope_changes_the_text(load: Load, tiny_llama: Path, key: str) -> None:
    plain = run(load(tiny_llama, n_predict=30).context(), SEA * 3)
    bent = run(
        load(tiny_llama, n_predict=30, rope_scaling_type=1, **{key: 0.25}).context(), SEA * 3
    )
    assert plain != bent


@pytest.mark.parametrize(
    "metadata",
    [
        {"use_mmap": False},
        {"use_mlock": True},
        {"check_tensors": True},
        {"n_cpu_moe": 1},
        {"cpu_moe": True},
        {"main_gpu": 1},
        {"split_mode": "row"},
        {"tensor_split": "3,2"},
        {"numa": 1},
    ],
    ids=str,
)
def test_a_model_key_loads_the_same_model(
    load: Load, tiny_llama: Path, metadata: dict[str, Any]
) -> None:
    expected = run(load(tiny_llama, n_predict=8).context(), SEA)
    assert run(load(tiny_llama, n_predict=8, **metadata).context(), SEA) == expected


def test_the_size_of_the_first_generation_takes_effect(
    backend: GgmlBackend, tiny_llama: Path
) -> None:
    graph = backend.load(tiny_llama, Target.AUTO, None)
    context = graph.context()
    told = {"ctx-size": 256, "n-predict": 4, "n-gpu-layers": 100, "batch-size": 512, "threads": 1}
    context.set_input(1, 3, json.dumps(told).encode())
    assert len(run(context, SEA)) > 0
    assert graph.engine().cells == 256
    context.set_input(1, 3, b'{"ctx-size": 512}')
    assert graph.engine().cells == 256
    context.set_input(1, 3, b'{"n-gpu-layers": 50}')
    assert graph.engine().cells == 512
    assert run(context, SEA)
    graph.close()


def test_compute_prints_if_asked(load: Load, tiny_llama: Path) -> None:
    printed: list[bytes] = []
    context = load(tiny_llama, n_predict=9, stream_stdout=True).context(stdout=printed.append)
    text = run(context, SEA)
    assert b"".join(printed) == text
    assert len(printed) == 9
    stream(context, SEA, 3)
    assert len(printed) == 9


def test_logs_come_only_when_asked_for(
    load: Load, tiny_llama: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    run(load(tiny_llama, n_predict=2, ctx_size=256).context(), SEA)
    assert "llama.cpp: " not in caplog.text
    run(load(tiny_llama, n_predict=2, ctx_size=1024, enable_log=True).context(), SEA)
    assert "[WASI-NN] llama.cpp: llama_context: n_ctx_seq" in caplog.text
    assert "setInput" not in caplog.text
    run(load(tiny_llama, n_predict=2, enable_debug_log=True).context(), SEA)
    assert "[WASI-NN] GGML backend: setInput" in caplog.text


def test_one_line_says_what_computes(
    tmp_path: Path, tiny_llama: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(tiny_llama.read_bytes())
    network = NeuralNetwork([Preload.parse(f"m:GGML:GPU:{copy}")])
    for _ in range(2):
        network.load_by_name("m", None).close()
    network.close()
    assert "copy.gguf: llama.cpp " in caplog.text
    assert "0 of 2 layers on the GPU" in caplog.text
    assert caplog.text.count("GPU was asked for") == 1


def test_a_preloaded_model_is_loaded_once_with_the_options_of_its_guest(
    tmp_path: Path, tiny_llama: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(tiny_llama.read_bytes())
    backend = GgmlBackend()

    def load(mmap: bool) -> tuple["ref[Model]", int]:
        config = json.dumps({"use-mmap": mmap, "ctx-size": 256, "threads": 1})
        graph = backend.load(copy, Target.AUTO, config)
        model = ref(graph.model)
        graph.close()
        return model, caplog.text.count("copy.gguf: llama.cpp ")

    backend.preload(copy)
    assert "copy.gguf" not in caplog.text
    first, _ = load(mmap=False)
    assert load(mmap=False) == (first, 1), "a guest that starts again does not find it"
    second, count = load(mmap=True)
    assert (first(), count) == (None, 2), "two copies are in memory"
    backend.close()
    assert second() is None


def test_a_model_that_is_no_preload_is_freed_with_its_last_graph(
    backend: GgmlBackend, tiny_llama: Path
) -> None:
    graphs = [backend.load(tiny_llama, Target.AUTO, None) for _ in range(2)]
    model = ref(graphs[0].model)
    graphs.pop().close()
    assert model() is graphs[0].model
    graphs.pop().close()
    assert model() is None


def resident() -> int:
    """Bytes of this process in memory."""
    if sys.platform.startswith("linux"):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


CYCLES: list[dict[str, Any]] = [
    {"n-predict": 2, "temp": 0.8},
    {"n-predict": 2, "grammar": 'root ::= "a" | "b"'},
    {"n-predict": 2, "json-schema": '{"type": "object", "properties": {"a": {}}}'},
    {"embedding": True},
]


@pytest.mark.parametrize("keys", CYCLES, ids=str)
def test_loading_and_unloading_leaks_nothing(
    backend: GgmlBackend, tiny_llama: Path, keys: dict[str, Any]
) -> None:
    config = json.dumps({"threads": 1, "ctx-size": 256, **keys})

    def once() -> None:
        graph = backend.load(tiny_llama, Target.AUTO, config)
        context = graph.context()
        run(context, SEA)
        context.close()
        graph.close()

    grown: list[int] = []
    for _ in range(1 + ROUNDS):
        before = resident()
        for _ in range(LOADS // ROUNDS):
            once()
        grown.append(resident() - before)
    assert min(grown[1:]) < LOADS // ROUNDS * LEAK, grown
