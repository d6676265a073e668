"""What fits into memory: weights, KV caches and how many of them, on the computer and on GPUs."""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.engine import engine, engines
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.ggml.llama import capacity, gguf, memory
from llamaedge_host.ggml.llama.adapters import AdapterFile
from llamaedge_host.ggml.llama.context import (
    ContextError,
    ContextParameters,
    LlamaContext,
)
from llamaedge_host.ggml.llama.devices import Device
from llamaedge_host.ggml.llama.model import Model
from llamaedge_host.ggml.llama.needs import Needs, needs
from llamaedge_host.ggml.metadata.parse import DEFAULTS, Settings
from llamaedge_host.nn import NnErrno, Target
from llamaedge_host.nn.backend import BackendError

from ..models import sized, speech, tiny
from .conftest import HUGE, Load, Machine, run

SEA = b"the sea and the sea"
LOADED: list[GgmlGraph] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while LOADED:
        LOADED.pop().close()


def load_on(backend: GgmlBackend, path: Path, **metadata: Any) -> GgmlGraph:
    keys = {"threads": 1, "temp": 0.0, "ctx_size": 512, "n_predict": 2} | metadata
    config = {name.replace("_", "-"): value for name, value in keys.items()}
    LOADED.append(backend.load(path, Target.AUTO, json.dumps(config)))
    return LOADED[-1]


def needed(graph: GgmlGraph, cells: int, parallel: int, **changes: Any) -> Needs:
    settings = Settings({name: graph.settings[name] for name in DEFAULTS})
    settings = settings.with_changes(changes | {"ctx-size": cells})
    with closing(graph.model.hollow()) as hollow:
        return needs(hollow, ContextParameters.of(settings, hollow, parallel))


def sequences(graph: GgmlGraph) -> int:
    count = getattr(graph.engine(), "parallel", 0)
    assert isinstance(count, int)
    return count


@pytest.mark.parametrize(
    ("limit", "used", "stat"),
    [
        ("memory.max", "memory.current", "inactive_file 100\nactive_file 20\nanon 700\n"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "inactive_file 1\ntotal_inactive_file 100\ntotal_active_file 20\n",
        ),
    ],
)
def test_a_cgroup_limits_what_is_free_but_its_files_can_give_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, used: str, stat: str
) -> None:
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    tmp_path.joinpath("memory").mkdir()
    tmp_path.joinpath(limit).write_text("1000\n")
    tmp_path.joinpath(used).write_text("800\n")
    tmp_path.joinpath(limit).with_name("memory.stat").write_text(stat)
    assert memory.available_memory() == 320
    tmp_path.joinpath(limit).write_text("max\n")
    assert memory.available_memory() > 1000


def test_weights_that_do_not_fit_are_refused_before_they_are_read(
    machine: Machine, tiny_llama: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    backend = GgmlBackend()
    machine(100_000)
    with pytest.raises(BackendError, match=r"weights take \d+ kB, and 100 kB of memory") as raised:
        load_on(backend, tiny_llama)
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT
    assert "loading" not in caplog.text
    machine(HUGE)
    assert run(load_on(backend, tiny_llama).context(), SEA)


def test_a_projector_and_a_vocoder_are_refused_too(machine: Machine, tmp_path: Path) -> None:
    machine(HUGE)
    backend = GgmlBackend()
    graph = load_on(backend, speech.speaker(tmp_path / "speaker.gguf"), tts=True)
    projector = str(tiny.projector(tmp_path / "mmproj.gguf"))
    vocoder = str(speech.vocoder(tmp_path / "vocoder.gguf"))
    machine(50_000)
    for load, path in (graph.projector, projector), (graph.vocoder, vocoder):
        with pytest.raises(BackendError, match=r"weights take .* 50 kB of memory are free"):
            load(path)
    machine(HUGE)
    assert graph.vocoder(vocoder)


def test_it_is_said_how_many_layers_fit_on_a_gpu(machine: Machine, tiny_llama: Path) -> None:
    backend = GgmlBackend()
    machine(HUGE, 100_000, 50_000)
    with pytest.raises(BackendError, match=r"3 layers on the GPU take .* 150 kB") as raised:
        load_on(backend, tiny_llama)
    fitting = int(re.search(r"(\d) layers fit", str(raised.value))[1])  # type: ignore[index]
    assert fitting == 1
    load_on(backend, tiny_llama, n_gpu_layers=fitting, no_kv_offload=True)
    with pytest.raises(BackendError, match="n-gpu-layers"):
        load_on(backend, tiny_llama, n_gpu_layers=fitting + 1)
    with pytest.raises(BackendError, match="50 kB are free there"):
        load_on(backend, tiny_llama, n_gpu_layers=2, split_mode="none", main_gpu=1)


def test_a_gpu_that_does_not_say_what_it_has_is_tried(
    machine: Machine, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(HUGE, 0)
    silent = (Device("GPU", "a card", "GPU", 0, 0),)
    monkeypatch.setattr(memory, "devices", lambda: silent)
    assert sequences(load_on(GgmlBackend(), tiny_llama)) == 8


@pytest.mark.parametrize("gpu", [False, True])
def test_the_context_is_the_models_own_or_what_memory_allows(
    machine: Machine, tiny_llama: Path, gpu: bool, caplog: pytest.LogCaptureFixture
) -> None:
    machine(HUGE, HUGE)
    graph = load_on(GgmlBackend(), tiny_llama, ctx_size=0)
    assert graph.engine().cells == tiny.CONTEXT
    wanted = needed(graph, 256, capacity.LEAST_PARALLEL)
    there = wanted.there.weights + int(wanted.there.context / capacity.CONTEXT.there) + 1
    here = wanted.here.weights + int(wanted.here.context / capacity.CONTEXT.here) + 1
    machine(*((HUGE, there) if gpu else (here, HUGE)))
    with closing(GgmlBackend()) as backend:
        suited = backend.suited(tiny_llama, Target.AUTO, {"n-gpu-layers": 99})
        assert (suited.settings["ctx-size"], suited.trained, suited.parallel) == (256, 512, 2)
        cells = load_on(backend, tiny_llama, ctx_size=256).engine().cells
    assert cells == 256
    assert "trained" not in caplog.text


def test_what_suits_is_found_once(
    machine: Machine, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(HUGE)
    with closing(GgmlBackend()) as backend:
        suited = backend.suited(tiny_llama, Target.AUTO, {"threads": 1})
        monkeypatch.setattr(engines, "size", None)
        LOADED.append(backend.load(tiny_llama, Target.AUTO, json.dumps(suited.settings)))
        assert sequences(LOADED[-1]) == suited.parallel == capacity.DEFAULT_PARALLEL


def test_as_many_layers_lie_on_the_gpu_as_leave_room(machine: Machine, tiny_llama: Path) -> None:
    machine(HUGE, HUGE)
    graph = load_on(GgmlBackend(), tiny_llama)
    with closing(GgmlBackend()) as backend:
        found = backend.suited(tiny_llama, Target.AUTO, {})
        assert (found.settings["n-gpu-layers"], found.gpu_layers, found.layers) == (3, 2, 2)
        size = memory.weights(graph.model.header, 2, 0)[1] + needed(graph, 512, 1).there.cache
        machine(HUGE, int(size / capacity.CONTEXT.there) + 1)
        found = backend.suited(tiny_llama, Target.AUTO, {})
        assert (found.settings["n-gpu-layers"], found.gpu_layers) == (2, 2)
        machine(HUGE, 1000)
        assert backend.suited(tiny_llama, Target.AUTO, {}).gpu_layers == 0


def test_weights_lie_where_llama_cpp_puts_them(machine: Machine, tiny_llama: Path) -> None:
    machine(HUGE)
    header = load_on(GgmlBackend(), tiny_llama).model.header
    sizes = {tensor.name: tensor.size for tensor in header.tensors}
    output = sizes["output.weight"] + sizes["output_norm.weight"]
    last = sum(size for name, size in sizes.items() if name.startswith("blk.1."))
    there = [memory.weights(header, layers, 0)[1] for layers in (0, 1, 2)]
    assert there == [0, output, output + last]
    here, rest = memory.weights(header, 3, 0)
    assert (here, here + rest) == (sizes["token_embd.weight"], sum(sizes.values()))


def test_the_number_of_sequences_follows_the_memory(machine: Machine, tiny_llama: Path) -> None:
    machine(HUGE)
    graph = load_on(GgmlBackend(), tiny_llama)
    assert sequences(graph) == 8
    weights = needed(graph, 512, 1).here.weights
    for expected in 8, 3, 2:
        context = needed(graph, 512, expected).here.context
        machine(weights + int(context / capacity.SEQUENCES.here) + 1)
        assert sequences(load_on(GgmlBackend(), tiny_llama)) == expected
    machine(weights + int(needed(graph, 512, 1).here.context / capacity.CONTEXT.here) + 1)
    assert sequences(load_on(GgmlBackend(), tiny_llama)) == 1


def test_the_number_of_sequences_follows_the_gpus(machine: Machine, tiny_llama: Path) -> None:
    machine(HUGE, HUGE)
    graph = load_on(GgmlBackend(), tiny_llama)
    assert sequences(graph) == 8
    cache, weights = needed(graph, 512, 4).there.cache, needed(graph, 512, 1).there.weights
    both = int(cache / 2 / capacity.CONTEXT.there) + 1
    for gpus, expected in (
        ((HUGE,), 8),
        ((cache + weights, cache), 4),
        ((weights + both,), 2),
        ((weights + cache // 4,), 1),
    ):
        machine(HUGE, *gpus)
        with closing(GgmlBackend()) as backend:
            assert loaded_before(backend, tiny_llama) == expected
            assert loaded_before(backend, tiny_llama, no_kv_offload=True) == 8


def loaded_before(backend: GgmlBackend, path: Path, **changes: Any) -> int:
    """The sequences that suit before anything is loaded."""
    given = {name.replace("_", "-"): value for name, value in changes.items()}
    return backend.suited(path, Target.AUTO, {"ctx-size": 512, "n-gpu-layers": 3, **given}).parallel


@pytest.mark.parametrize("gpu", [False, True])
def test_fewer_sequences_than_were_asked_for_rather_than_none(
    machine: Machine,
    tiny_llama: Path,
    caplog: pytest.LogCaptureFixture,
    gpu: bool,
) -> None:
    machine(HUGE, HUGE)
    backend = GgmlBackend(parallel=6)
    keys = {"batch_size": 32, "ctx_size": 8192}
    graph = load_on(backend, tiny_llama, batch_size=32)
    context, wanted = graph.context(), needed(graph, 8192, 3)
    if gpu:
        machine(HUGE, wanted.there.context + 1)
    else:
        machine(wanted.whole.total + 1)
    graph = load_on(backend, tiny_llama, n_gpu_layers=-1, **keys)
    assert sequences(graph) == 3
    assert sequences(load_on(backend, tiny_llama, **keys)) == 3, "the engine is not shared"
    assert "6 sequences of 8192 tokens were asked for, and 3 fit" in caplog.text
    assert run(graph.context(), SEA) == run(context, SEA)


def test_a_context_that_llama_cpp_has_no_memory_for_is_tried_smaller(
    machine: Machine, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = engine.LlamaContext, []

    def context(model: Model, parameters: ContextParameters) -> LlamaContext:
        asked.append(parameters.parallel)
        if parameters.parallel > fitting:
            raise ContextError(NnErrno.INVALID_ARGUMENT, "the context cannot be set up: no")
        return real(model, parameters)

    monkeypatch.setattr(engine, "LlamaContext", context)
    machine(HUGE)
    fitting = 2
    assert sequences(load_on(GgmlBackend(), tiny_llama)) == 2
    assert asked == [8, 4, 2]
    fitting = 0
    with pytest.raises(BackendError, match="the context cannot be set up"):
        load_on(GgmlBackend(), tiny_llama)


@pytest.mark.parametrize("embedding", [False, True])
def test_it_is_said_how_many_tokens_fit(
    machine: Machine, tiny_llama: Path, embedding: bool
) -> None:
    backend = GgmlBackend()
    machine(HUGE)
    graph = load_on(backend, tiny_llama)
    machine(needed(graph, 512, 1, embedding=embedding).here.total + 1)
    keys = {"embedding": embedding}
    why = r"1024 tokens \(ctx-size\) take .* of weights"
    with pytest.raises(BackendError, match=why) as raised:
        load_on(backend, tiny_llama, ctx_size=1024, **keys)
    assert str(raised.value).endswith("; 512 tokens fit")
    graph = load_on(backend, tiny_llama, ctx_size=512, **keys)
    assert run(graph.context(), SEA)


Q8 = {"cache-type-k": 8, "cache-type-v": 8}


@pytest.fixture(scope="module")
def quantisable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with heads that are wide enough for a cache of q8_0."""
    path = tmp_path_factory.mktemp("wide") / "wide.gguf"
    return sized.llama(path, width=64, layers=2, feed=64, context=4096)


def test_a_context_that_is_asked_for_has_a_smaller_cache_rather_than_none(
    machine: Machine, quantisable: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    machine(HUGE)
    backend = GgmlBackend()
    graph = load_on(backend, quantisable)
    plain, small = needed(graph, 4096, 1), needed(graph, 4096, 1, **Q8)
    assert small.whole.cache < 0.6 * plain.whole.cache
    for free, kind in ((plain, "f16"), (small, "q8_0")):
        caplog.clear()
        machine(free.whole.total + 1)
        made = load_on(backend, quantisable, ctx_size=4096)
        assert (made.engine().cells, sequences(made)) == (4096, 1)
        assert f"of KV cache ({kind})" in caplog.text
        assert ("since one of f16 for ctx-size 4096 does not fit" in caplog.text) == (kind != "f16")
        assert run(made.context(), SEA)
        made.close()
        LOADED.remove(made)


@pytest.mark.parametrize(
    "keys", [{"cache_type_k": 1, "cache_type_v": 1}, {"cache_type_v": 1}, {"flash_attn": "off"}]
)
def test_the_type_that_is_asked_for_is_kept(
    machine: Machine, quantisable: Path, keys: dict[str, Any]
) -> None:
    machine(HUGE)
    backend = GgmlBackend()
    machine(needed(load_on(backend, quantisable), 4096, 1, **Q8).whole.total + 1)
    with pytest.raises(BackendError, match=r"4096 tokens \(ctx-size\) take .* tokens fit"):
        load_on(backend, quantisable, ctx_size=4096, **keys)


def test_what_fits_in_no_type_is_refused_with_what_fits_in_the_smaller(
    machine: Machine, quantisable: Path
) -> None:
    machine(HUGE)
    backend = GgmlBackend()
    machine(needed(load_on(backend, quantisable), 2048, 1, **Q8).whole.total + 1)
    why = r"4096 tokens \(ctx-size\), in a cache of q8_0, take .*; 2048 tokens fit"
    with pytest.raises(BackendError, match=why):
        load_on(backend, quantisable, ctx_size=4096)
    assert load_on(backend, quantisable, ctx_size=2048).engine().cells == 2048


def test_a_context_that_nobody_asked_for_is_cut_before_its_type_is(
    machine: Machine, quantisable: Path
) -> None:
    machine(HUGE)
    backend = GgmlBackend()
    machine(needed(load_on(backend, quantisable), 2048, 1).whole.total + 1)
    found = backend.suited(quantisable, Target.CPU, {"ubatch-size": 512})
    assert 256 <= int(found.settings["ctx-size"]) <= 2048
    assert "cache-type-k" not in found.settings


def test_a_guest_is_told_of_a_smaller_cache(machine: Machine, quantisable: Path) -> None:
    machine(HUGE)
    backend = GgmlBackend()
    given = {"ctx-size": 4096, "batch-size": 512}
    plain = backend.suited(quantisable, Target.CPU, given, sharing=1)
    assert "cache-type-k" not in plain.settings
    graph = load_on(backend, quantisable)
    machine(needed(graph, 4096, 1, **{"batch-size": 512, **Q8}).whole.total + 1)
    found = backend.suited(quantisable, Target.CPU, given)
    assert {key: found.settings[key] for key in Q8} == Q8
    assert found.settings["ctx-size"] == 4096


def test_adapters_are_counted(machine: Machine, tiny_llama: Path, tmp_path: Path) -> None:
    adapter = tiny.lora(tmp_path / "large.gguf", rank=512)
    size = sum(tensor.size for tensor in gguf.read(adapter).tensors)
    assert size > 500_000
    machine(HUGE)
    plain = GgmlBackend()
    whole = needed(load_on(plain, tiny_llama), 512, 1).whole
    adapted = GgmlBackend(adapters=[AdapterFile(adapter)])
    before = plain.suited(tiny_llama, Target.CPU, {})
    after = adapted.suited(tiny_llama, Target.CPU, {})
    assert after.needs.whole.weights - before.needs.whole.weights == size
    embedding = adapted.suited(tiny_llama, Target.CPU, {"embedding": True})
    assert embedding.needs.whole.weights == before.needs.whole.weights
    machine(whole.total + size)
    assert sequences(load_on(plain, tiny_llama)) >= 1
    assert sequences(load_on(adapted, tiny_llama)) == 1
    machine(whole.total + size // 2)
    assert sequences(load_on(plain, tiny_llama)) >= 1
    with pytest.raises(BackendError, match=r"512 tokens \(ctx-size\) take .* tokens fit"):
        load_on(GgmlBackend(adapters=[AdapterFile(adapter)]), tiny_llama)


def test_adapters_lie_with_their_layers_on_a_gpu(
    machine: Machine, tiny_llama: Path, tmp_path: Path
) -> None:
    adapter = tiny.lora(tmp_path / "large.gguf", rank=512)
    size = sum(tensor.size for tensor in gguf.read(adapter).tensors)
    machine(HUGE, HUGE)
    adapted = GgmlBackend(adapters=[AdapterFile(adapter)])
    given = {"ctx-size": 512, "n-gpu-layers": 2}
    plain = GgmlBackend().suited(tiny_llama, Target.AUTO, given).needs
    needs_ = adapted.suited(tiny_llama, Target.AUTO, given).needs
    here = needs_.here.weights - plain.here.weights
    there = needs_.there.weights - plain.there.weights
    assert (here, there) == (size // 2, size // 2)


def test_swapped_caches_take_no_more_than_there_is(machine: Machine, tiny_llama: Path) -> None:
    backend = GgmlBackend()
    machine(HUGE)
    load_on(backend, tiny_llama)
    machine(40 << 20)
    with pytest.raises(BackendError, match=r"cache-ram .* 43\.0 MB, and 41\.9 MB of memory"):
        load_on(backend, tiny_llama, cache_ram=41, ctx_size=256)
    assert run(load_on(backend, tiny_llama, cache_ram=40, ctx_size=256).context(), SEA)


@pytest.mark.parametrize("size", [2**31 - 1, 2**30])
def test_a_cache_larger_than_any_memory_is_refused(
    load: Load, tiny_llama: Path, tiny_gemma: Path, size: int
) -> None:
    for path in tiny_llama, tiny_gemma:
        for embedding in True, False:
            with pytest.raises(BackendError, match="ctx-size"):
                load(path, ctx_size=size, embedding=embedding)
    context = load(tiny_llama, n_predict=4).context()
    text = run(context, SEA)
    with pytest.raises(BackendError, match="ctx-size"):
        context.set_input(1, 3, json.dumps({"ctx-size": size, "embedding": True}).encode())
    assert run(context, SEA) == text
