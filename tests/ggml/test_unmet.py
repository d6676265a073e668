"""What cannot be as it was asked for is said in a line, or refused."""

from pathlib import Path
from typing import Any

import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.llama import memory
from llamaedge_host.ggml.llama.devices import Device
from llamaedge_host.ggml.llama.library import cpus, llama
from llamaedge_host.nn import Target
from llamaedge_host.nn.backend import BackendError

from ..models import architectures
from .conftest import Load

OWN = 512


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"ctx_size": 1024}, "ctx-size 1024 is more than the 512 tokens that the model was train"),
        ({"threads": 4096}, f"threads 4096 becomes {cpus()}: no more CPUs"),
        ({"threads_batch": 4096}, f"threads-batch 4096 becomes {cpus()}: no more CPUs"),
        ({"batch_size": 100_000}, "batch-size 100000 becomes 512: the context"),
        ({"batch_size": 64, "ubatch_size": 128}, "ubatch-size 128 becomes 64: "),
        ({"embedding": True, "batch_size": 64, "ubatch_size": 32}, "ubatch-size 32 becomes 64: "),
        ({"n_gpu_layers": 10}, "n-gpu-layers 10: there is no GPU that llama.cpp can use here"),
        ({"main_gpu": 3}, "main-gpu 3: there is no GPU"),
        ({"split_mode": "row"}, "split-mode row: there is no GPU"),
        ({"tensor_split": "3,2"}, "tensor-split 3,2: there is no GPU"),
        ({"cpu_moe": True}, "cpu-moe True: there is no GPU"),
    ],
    ids=str,
)
def test_what_is_not_as_asked_is_said_in_a_line(
    load: Load,
    tiny_llama: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    keys: dict[str, Any],
    said: str,
) -> None:
    no_gpus(monkeypatch)
    load(tiny_llama, **keys).engine()
    lines = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(lines) == 1, lines
    assert said in lines[0]


def no_gpus(monkeypatch: pytest.MonkeyPatch, *gpus: Device) -> None:
    monkeypatch.setattr(memory, "devices", lambda: gpus)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"ctx_size": 1024, "rope_freq_scale": 0.5},
        {"batch_size": 512, "ubatch_size": 512},
        {"threads": 1, "n_gpu_layers": 0},
    ],
    ids=str,
)
def test_nothing_is_said_of_what_is_as_asked(
    load: Load, tiny_llama: Path, caplog: pytest.LogCaptureFixture, keys: dict[str, Any]
) -> None:
    load(tiny_llama, **keys).engine()
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"ctx_size": 8}, "ctx-size cannot be used: 8 tokens were asked for, and 16 is the least"),
        ({"main_gpu": 1, "split_mode": "none"}, "main-gpu is 1, and there is 1 GPU, number 0"),
        ({"tensor_split": "3,2"}, "tensor-split is 3,2, and there is 1 GPU"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused(
    load: Load, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any], why: str
) -> None:
    no_gpus(monkeypatch, Device("GPU", "a card", "GPU", 1 << 40, 1 << 40))
    monkeypatch.setattr(llama, "llama_supports_gpu_offload", lambda: True)
    with pytest.raises(BackendError, match=why):
        load(tiny_llama, **keys).engine()


def test_a_model_that_learnt_each_position_has_no_others(tmp_path: Path) -> None:
    path = architectures.model(tmp_path / "gpt2.gguf", "gpt2")
    most = architectures.CONTEXTS["gpt2"]
    with pytest.raises(BackendError, match=f"ctx-size .*: {most + 1} .* has {most} positions"):
        GgmlBackend().suited(path, Target.AUTO, {"ctx-size": most + 1})
