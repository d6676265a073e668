"""What a model takes of memory with a context, as llama.cpp itself lays it out.

A model is loaded without its weights, a context set up on it without its buffers, and what they
would have taken is in llama.cpp's log. Source: llama-context.cpp and llama-kv-cache.cpp, whose
``no_alloc`` this is.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .adapters import AdapterFile, read
from .context import ContextParameters, LlamaContext
from .gguf import Gguf
from .library import recorded
from .memory import first_on_gpu, gpu_free, weights
from .model import Model

_CACHE = re.compile(r"^llama_\w+: .*(?<!buffer )\bsize = +([\d.]+) MiB(?: \(|$)")
_BUFFER = re.compile(r"(\S+) +(?:compute|output) buffer size = +([\d.]+) MiB")
_MIB = 2**20


@dataclass(frozen=True)
class Need:
    """Bytes of one kind of memory: a model's weights, the caches of a context, its buffers."""

    weights: int = 0
    cache: int = 0
    buffers: int = 0

    @property
    def context(self) -> int:
        """Bytes of what a context takes beside the weights."""
        return self.cache + self.buffers

    @property
    def total(self) -> int:
        """Bytes of everything."""
        return self.weights + self.context

    def beside(self, other: "Need") -> "Need":
        """What this and ``other`` take together."""
        return Need(
            self.weights + other.weights, self.cache + other.cache, self.buffers + other.buffers
        )


@dataclass(frozen=True)
class Needs:
    """What is taken of the computer's memory, ``here``, and of the GPUs', ``there``."""

    here: Need
    there: Need

    @property
    def whole(self) -> Need:
        """Both together."""
        return self.here.beside(self.there)

    def beside(self, other: "Needs") -> "Needs":
        """What this and ``other`` take together."""
        return Needs(self.here.beside(other.here), self.there.beside(other.there))


NOTHING = Needs(Need(), Need())


def adapters(files: Iterable[AdapterFile], model: Model) -> Needs:
    """What the adapters of ``files`` take that ``model`` has not loaded yet. Raises GgmlError."""
    headers = [read(each.path, model) for each in files if each.path not in model.adapters]
    tensors = [tensor for header in headers for tensor in header.tensors]
    here, there = weights(model.header, _layers(model), model.parameters.cpu_experts, tensors)
    return Needs(Need(here), Need(there))


def _layers(model: Model) -> int:
    """The layers of ``model`` on GPUs, the output one of them."""
    return model.parameters.on_gpu(model.layers) if gpu_free(None) is not None else 0


def needs(hollow: Model, parameters: ContextParameters) -> Needs:
    """What ``hollow`` would take with a context of ``parameters``.

    Raises ContextError for one that llama.cpp does not set up.
    """
    with recorded() as lines:
        LlamaContext(hollow, parameters).close()
    return _needs(hollow, parameters, [line for line in lines if "MiB" in line])


def _needs(hollow: Model, parameters: ContextParameters, lines: Sequence[str]) -> Needs:
    header, layers = hollow.header, _layers(hollow)
    here, there = weights(header, layers, hollow.parameters.cpu_experts)
    cache, buffers = cache_logged(lines), {False: 0, True: 0}
    for line in lines:
        if found := _BUFFER.search(line):
            buffers[_on_gpu(found[1])] += _bytes(found[2])
    offloaded = _offloaded(header, layers, cache) if parameters.offload else 0
    kept = Need(here, cache - offloaded, buffers[False])
    return Needs(kept, Need(there, offloaded, buffers[True]))


def cache_logged(lines: Iterable[str]) -> int:
    """Bytes of the caches and states that llama.cpp logs it has set up."""
    return sum(_bytes(found[1]) for line in lines if (found := _CACHE.search(line)))


def _offloaded(header: Gguf, layers: int, cache: int) -> int:
    """Bytes of ``cache`` that lie with the last ``layers`` layers, the output one of them."""
    heads = header.by_layer("attention.head_count_kv")
    if not any(heads):
        heads = [1] * header.integer("block_count")
    return cache * sum(heads[first_on_gpu(header, layers) :]) // max(sum(heads), 1)


def _on_gpu(buffer: str) -> bool:
    """Whether the buffers that llama.cpp calls ``buffer`` are a GPU's."""
    return not (buffer.startswith(("CPU", "BLAS")) or buffer.endswith("_Host"))


def _bytes(mebibytes: str) -> int:
    return int(float(mebibytes) * _MIB)
