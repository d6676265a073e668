"""A backend shared by the tests of GGML, models, and ways to run a prompt."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llamaedge_host.files import Files
from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.chat.renderer import Renderer
from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.ggml.llama import capacity, memory
from llamaedge_host.ggml.llama.devices import Device
from llamaedge_host.ggml.llama.library import llama
from llamaedge_host.nn import NnErrno, Target
from llamaedge_host.preopen import Preopen

from ..models import tiny

Load = Callable[..., GgmlGraph]
Machine = Callable[..., None]

HUGE = 1 << 40
"""Bytes that are as good as any number of them."""

ANYWHERE = Files([Preopen(Path("/"), "/")])
"""A guest's files that are all of the host's, by the same paths."""

FRANCE = b"<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"


def configure(context: GgmlContext, **metadata: Any) -> None:
    """Set keys, whose names have no dashes here."""
    keys = {name.replace("_", "-"): value for name, value in metadata.items()}
    context.set_input(1, 3, json.dumps(keys).encode())


@pytest.fixture(scope="session")
def backend() -> Iterator[GgmlBackend]:
    backend = GgmlBackend(parallel=4)
    yield backend
    backend.close()


@pytest.fixture(scope="session", autouse=True)
def model_stays(backend: GgmlBackend, smollm2: Path) -> None:
    backend.preload(smollm2)


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    renderer = Renderer()
    yield renderer
    renderer.close()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Makes the computer, and GPUs, have so many bytes free; a build for GPUs if there are any."""

    def machine(computer: int, *gpus: int) -> None:
        for module in capacity, memory:
            monkeypatch.setattr(module, "available_memory", lambda: computer)
        found = [Device("CPU", "the processor", "CPU", HUGE, HUGE)]
        found += [Device("GPU", "a card", "GPU", free, HUGE) for free in gpus]
        monkeypatch.setattr(memory, "devices", lambda: found)
        monkeypatch.setattr(llama, "llama_supports_gpu_offload", lambda: bool(gpus))

    return machine


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def tiny_llama(folder: Path) -> Path:
    return tiny.llama(folder / "llama.gguf")


@pytest.fixture(scope="session")
def tiny_gemma(folder: Path) -> Path:
    return tiny.gemma(folder / "gemma.gguf")


@pytest.fixture(scope="session")
def tiny_mamba(folder: Path) -> Path:
    return tiny.mamba(folder / "mamba.gguf")


@pytest.fixture(scope="session")
def tiny_lfm2(folder: Path) -> Path:
    return tiny.lfm2(folder / "lfm2.gguf")


@pytest.fixture(scope="session")
def tiny_bert(folder: Path) -> Path:
    return tiny.bert(folder / "bert.gguf")


@pytest.fixture(scope="session")
def tiny_reranker(folder: Path) -> Path:
    return tiny.bert(folder / "reranker.gguf", scores=True)


@pytest.fixture
def load(backend: GgmlBackend, smollm2: Path) -> Iterator[Load]:
    """Loads a graph with metadata given as keywords (``ctx_size=512``); greedy unless told.

    One thread: the tests' machine may be busy, and llama.cpp's threads wait for each other.
    """
    graphs: list[GgmlGraph] = []

    def load(path: Path = smollm2, **metadata: Any) -> GgmlGraph:
        keys = {"temp": 0.0, "ctx_size": 512, "threads": 1} | metadata
        config = json.dumps({name.replace("_", "-"): value for name, value in keys.items()})
        graphs.append(backend.load(path, Target.AUTO, config))
        return graphs[-1]

    yield load
    for graph in graphs:
        graph.close()


@pytest.fixture
def context(load: Load) -> Iterator[GgmlContext]:
    context = load(n_predict=32).context()
    yield context
    context.close()


def run(context: GgmlContext, prompt: bytes) -> bytes:
    """The whole text after ``prompt``."""
    context.set_input(0, 3, prompt)
    assert context.compute() is NnErrno.SUCCESS
    return context.output(0)


def stream(context: GgmlContext, prompt: bytes, most: int = 100) -> tuple[list[bytes], NnErrno]:
    """The pieces after ``prompt``, at most ``most``, and the last answer."""
    context.set_input(0, 3, prompt)
    pieces: list[bytes] = []
    for _ in range(most):
        if errno := context.compute_single():
            return pieces, errno
        pieces.append(context.output_single(0))
    return pieces, NnErrno.SUCCESS


def counts(context: GgmlContext) -> tuple[int, int]:
    """Input and output tokens."""
    said = json.loads(context.output(1))
    return said["input_tokens"], said["output_tokens"]
