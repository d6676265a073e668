"""What each metadata key does, and when a change of it takes effect."""

import ctypes
import json
from pathlib import Path
from typing import Any

import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.llama import library
from llamaedge_host.ggml.llama.library import llama
from llamaedge_host.ggml.llama.model_parameters import _BufferOverride
from llamaedge_host.ggml.metadata.keys import KEYS, Change
from llamaedge_host.nn import NnErrno, Target
from llamaedge_host.nn.backend import BackendError

from .conftest import FRANCE, Load, configure, counts, run, stream

SEA = b"the sea and the sea"
PARALLEL = 4
"""The sequences of the tests' engines."""


CONTEXT: list[tuple[dict[str, Any], str, object]] = [
    ({"ctx_size": 1000}, "n_ctx", 1000 * PARALLEL),
    ({"ctx_size": 64}, "n_ctx", 64 * PARALLEL),
    ({"batch_size": 32}, "n_batch", 32),
    ({"ubatch_size": 16}, "n_ubatch", 16),
    ({"threads": 1}, "n_threads", 1),
    ({"threads": 4000}, "n_threads", library.cpus()),
    ({"threads": 0}, "n_threads", library.cpus()),
    ({"threads": 0, "threads_batch": 1}, "n_threads_batch", 1),
    ({"flash_attn": "on"}, "flash_attn_type", 1),
    ({"flash_attn": "disabled"}, "flash_attn_type", 0),
    ({"flash_attn": "auto"}, "flash_attn_type", -1),
    ({"cache_type_k": 30}, "type_k", 30),
    ({"cache_type_v": 0}, "type_v", 0),
    ({"no_kv_offload": True}, "offload_kqv", False),
    ({"kv_unified": True}, "kv_unified", True),
    ({"rope_scaling_type": 2}, "rope_scaling_type", 2),
    ({"rope_freq_base": 500.0}, "rope_freq_base", 500.0),
    ({"rope_freq_scale": 0.5}, "rope_freq_scale", 0.5),
    ({"yarn_ext_factor": 0.5}, "yarn_ext_factor", 0.5),
    ({"yarn_attn_factor": 0.5}, "yarn_attn_factor", 0.5),
    ({"yarn_beta_fast": 9.0}, "yarn_beta_fast", 9.0),
    ({"yarn_beta_slow": 2.0}, "yarn_beta_slow", 2.0),
    ({"yarn_orig_ctx": 128}, "yarn_orig_ctx", 128),
    ({"embedding": True}, "embeddings", True),
    ({"embedding": True, "pooling_type": 3}, "pooling_type", 3),
    ({"embedding": True, "attention_type": 1}, "attention_type", 1),
]


@pytest.mark.parametrize(("metadata", "field", "value"), CONTEXT, ids=str)
def test_a_context_key_reaches_llama_cpp(
    load: Load,
    tiny_llama: Path,
    monkeypatch: pytest.MonkeyPatch,
    metadata: dict[str, Any],
    field: str,
    value: object,
) -> None:
    asked: list[object] = []
    original = llama.llama_init_from_model

    def init(model: ctypes.c_void_p, parameters: Any) -> ctypes.c_void_p:
        asked.append(getattr(parameters, field))
        made: ctypes.c_void_p = original(model, parameters)
        return made

    monkeypatch.setattr(llama, "llama_init_from_model", init)
    assert run(load(tiny_llama, n_predict=4, **metadata).context(), SEA)
    assert asked[-1] == value


def _split(parameters: Any) -> list[float]:
    shares = ctypes.cast(parameters.tensor_split, ctypes.POINTER(ctypes.c_float))
    return list(shares[:3])


def _experts(parameters: Any) -> list[bytes]:
    rows = ctypes.cast(parameters.tensor_buft_overrides, ctypes.POINTER(_BufferOverride))
    patterns: list[bytes] = []
    while (pattern := rows[len(patterns)].pattern) is not None:
        patterns.append(pattern)
    return patterns


def _field(name: str) -> Any:
    return lambda parameters: getattr(parameters, name)


EXPERTS = rb"blk\.%d\.ffn_(up|down|gate)_exps"
MODEL: list[tuple[dict[str, Any], Any, object]] = [
    ({}, _field("n_gpu_layers"), -1),
    ({"n_gpu_layers": 1}, _field("n_gpu_layers"), 1),
    ({"n_gpu_layers": 100}, _field("n_gpu_layers"), -1),
    ({"main_gpu": 3}, _field("main_gpu"), 3),
    ({"split_mode": "none"}, _field("split_mode"), 0),
    ({"split_mode": "row"}, _field("split_mode"), 2),
    ({"tensor_split": "3,2"}, _split, [3.0, 2.0, 0.0]),
    ({"tensor_split": "3:2"}, _split, [3.0, 2.0, 0.0]),
    ({"tensor_split": "3/2"}, _split, [3.0, 2.0, 0.0]),
    ({"cpu_moe": True}, _experts, [EXPERTS % 0, EXPERTS % 1]),
    ({"n_cpu_moe": 1}, _experts, [EXPERTS % 0]),
    ({"use_mmap": True}, _field("load_mode"), llama.LLAMA_LOAD_MODE_MMAP),
    ({"use_mmap": False}, _field("load_mode"), llama.LLAMA_LOAD_MODE_NONE),
    ({"use_mlock": True}, _field("load_mode"), llama.LLAMA_LOAD_MODE_MMAP_MLOCK),
    ({"check_tensors": True}, _field("check_tensors"), True),
]


@pytest.mark.parametrize(("metadata", "read", "value"), MODEL, ids=str)
def test_a_model_key_reaches_llama_cpp(
    load: Load,
    tiny_gemma: Path,
    monkeypatch: pytest.MonkeyPatch,
    metadata: dict[str, Any],
    read: Any,
    value: object,
) -> None:
    asked: list[object] = []

    def refuse(path: bytes, parameters: Any) -> None:
        asked.append(read(parameters))

    monkeypatch.setattr(llama, "llama_supports_gpu_offload", lambda: True)
    monkeypatch.setattr(llama, "llama_model_load_from_file", refuse)
    with pytest.raises(BackendError, match="cannot be loaded"):
        load(tiny_gemma, **metadata)
    assert asked == [value]


def test_weights_are_checked_if_asked(load: Load, tiny_llama: Path, tmp_path: Path) -> None:
    content = bytearray(tiny_llama.read_bytes())
    content[-4000:] = b"\xff" * 4000
    path = tmp_path / "nan.gguf"
    path.write_bytes(content)
    load(path)
    with pytest.raises(BackendError, match="invalid data"):
        load(path, check_tensors=True)


def test_numa_is_set_once(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(llama, "llama_numa_init", asked.append)
    backend = GgmlBackend()
    for strategy in 0, 3, 1:
        config = json.dumps({"numa": strategy, "threads": 1, "ctx-size": 256})
        backend.load(tiny_llama, Target.AUTO, config).close()
    backend.close()
    assert asked == [3]


def test_n_parallel_is_the_number_of_sequences(tiny_llama: Path) -> None:
    backend = GgmlBackend()
    for wanted in 2, 5:
        config = json.dumps({"n-parallel": wanted, "threads": 1, "ctx-size": 256})
        graph = backend.load(tiny_llama, Target.AUTO, config)
        assert getattr(graph.engine(), "parallel", None) == wanted
        graph.close()
    backend.close()


@pytest.mark.parametrize(("how", "norm"), [(0, 32760), (1, 1), (2, 1), (3, 1)])
def test_embd_normalize_sets_the_norm(load: Load, tiny_llama: Path, how: int, norm: float) -> None:
    context = load(tiny_llama, embedding=True, pooling_type=3, embd_normalize=how).context()
    values = [abs(value) for value in json.loads(run(context, SEA))["embedding"]]
    power = how or 64
    total = sum((value / norm) ** power for value in values) ** (1 / power)
    assert (max(values) / norm if how == 0 else total) == pytest.approx(1, rel=1e-3)
    configure(context, embd_normalize=-1)
    plain = [abs(value) for value in json.loads(run(context, SEA))["embedding"]]
    assert plain != pytest.approx(values, rel=1e-2)


def test_attention_type_changes_the_vector(load: Load, tiny_llama: Path) -> None:
    keys = {"embedding": True, "pooling_type": 2}
    causal = run(load(tiny_llama, attention_type=0, **keys).context(), SEA)
    assert run(load(tiny_llama, attention_type=1, **keys).context(), SEA) != causal


def test_ignore_eos_goes_on(load: Load) -> None:
    context = load(n_predict=16, ignore_eos=True).context()
    text = run(context, FRANCE)
    assert b"Paris." in text
    assert b"<|im_end|>" not in text
    assert counts(context) == (16, 16)
    pieces, errno = stream(context, FRANCE, 16)
    assert (len(pieces), errno) == (16, NnErrno.SUCCESS)


@pytest.mark.parametrize(
    "bad",
    [
        {"cache_type_k": 10},
        {"cache_type_v": 42},
        {"flash_attn": "off", "cache_type_v": 8},
        {"tensor_split": "x"},
        {"tensor_split": "1," * 17},
        {"tensor_split": "-1"},
        {"grammar": "root ::= ("},
        {"embedding": True, "ctx_size": 2**31 - 1},
        {"top_k": 1.5},
    ],
    ids=str,
)
def test_a_bad_document_changes_nothing(load: Load, tiny_llama: Path, bad: dict[str, Any]) -> None:
    graph = load(tiny_llama, n_predict=8)
    context = graph.context()
    settings, text = graph.settings, run(context, SEA)
    name = list(bad)[-1].replace("_", "-")
    with pytest.raises(BackendError, match=name) as raised:
        configure(context, temp=3.0, n_predict=1, reverse_prompt="a", seed=1, **bad)
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT
    assert graph.settings is settings
    assert run(context, SEA) == text
    with pytest.raises(BackendError, match=name):
        load(tiny_llama, **bad)


AT_WORK: dict[Change, dict[str, Any]] = {
    Change.NOW: {"enable-log": True},
    Change.PROMPT: {"temp": 3.0, "seed": 5, "top-k": 0, "grammar": 'root ::= "z"{40}'},
    Change.LATER: {"ctx-size": 300, "cache-type-k": 0, "batch-size": 9, "use-mmap": False},
    Change.NEVER: {
        key.name: {bool: not key.default, int: 7, float: 0.5, str: "x"}[key.kind]
        for key in KEYS
        if key.change is Change.NEVER and not key.choices
    },
}


@pytest.mark.parametrize("change", AT_WORK, ids=lambda change: change.name)
def test_a_change_leaves_what_is_computed_alone(
    load: Load, tiny_llama: Path, change: Change
) -> None:
    graph = load(tiny_llama, ignore_eos=True, n_predict=12)
    one, other = graph.context(), graph.context()
    text = run(one, SEA)
    engine = graph.engine()
    other.set_input(0, 3, SEA)
    assert other.compute_single() is NnErrno.SUCCESS
    one.set_input(1, 3, json.dumps(AT_WORK[change]).encode())
    other.set_input(1, 3, json.dumps(AT_WORK[change]).encode())
    for _ in range(11):
        assert other.compute_single() is NnErrno.SUCCESS
    assert other.output(0) == text
    assert graph.engine() is engine
    assert (run(one, SEA) == text) is (change is not Change.PROMPT)
    if change is Change.PROMPT:
        assert set(one.output(0)) == {ord("z")}


def test_setting_a_context_up_again_ends_what_it_computes(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, ignore_eos=True, n_predict=12)
    one, other = graph.context(), graph.context()
    text = run(one, SEA)
    engine = graph.engine()
    other.set_input(0, 3, SEA)
    assert other.compute_single() is NnErrno.SUCCESS
    configure(one, ctx_size=300)
    configure(one, embedding=True)
    assert graph.engine() is not engine
    with pytest.raises(BackendError) as raised:
        while other.compute_single() is NnErrno.SUCCESS:
            pass
    assert raised.value.errno == NnErrno.RUNTIME_ERROR
    configure(one, embedding=False)
    assert run(other, SEA) == run(one, SEA) == text
    assert graph.engine().cells == 300


def test_a_model_is_loaded_again_with_what_waited_for_that(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, ignore_eos=True, n_predict=12)
    one, other = graph.context(), graph.context()
    text, model = run(one, SEA), graph.model
    one.set_input(0, 3, SEA)
    configure(other, use_mmap=False)
    assert graph.model is model
    configure(other, n_gpu_layers=0)
    assert graph.model is not model
    assert one.compute() is NnErrno.SUCCESS
    assert one.output(0) == run(other, SEA) == text
