"""How many sequences a context has room for: what their KV cache takes, and what there is."""

import logging
from dataclasses import dataclass, replace

from ...nn.errno import NnErrno
from ..errors import GgmlError
from .context import CACHE_TYPES, MIN_CONTEXT, ContextParameters
from .gguf import Gguf
from .memory import available_memory, first_on_gpu, gpu_free, shown
from .model import Model

_log = logging.getLogger("llamaedge_host.nn")

DEFAULT_PARALLEL = 8
SHARE = 8
"""The KV cache takes at most one part in so many of the computer's free memory, unless told."""
GPU_SHARE = 2
"""And of the GPUs', which little else uses."""

CELL_BYTES = 48
"""Bytes that llama.cpp keeps of each cell besides its keys and values."""
SPARSE = 16
"""Of a model with a sliding window or a state, at least one layer in so many keeps every token."""
MAX_CELLS = 2**31 - 1


@dataclass(frozen=True)
class _Room:
    """A kind of memory: the bytes that one sequence takes, and those that are free."""

    where: str
    taken: int
    free: int
    share: int


def _rooms(model: Model, parameters: ContextParameters) -> list[_Room]:
    """The computer's memory and the GPUs', by where the model's layers lie."""
    layers, cells = layer_bytes(model.header, parameters), parameters.cells * CELL_BYTES
    on_gpu = model.parameters.on_gpu(model.layers) if parameters.offload else 0
    free = gpu_free(model.parameters.only_gpu) if on_gpu else None
    there = 0 if free is None else sum(layers[first_on_gpu(model.header, on_gpu) :])
    rooms = [_Room("of memory", cells + sum(layers) - there, available_memory(), SHARE)]
    if free is not None and there:
        rooms.append(_Room("on the GPU", there, free, GPU_SHARE))
    return rooms


def parallel(model: Model, parameters: ContextParameters) -> int:
    """The number of sequences that serves well: 8, or fewer if memory is short; at least 1."""
    suits = [room.free // room.share // room.taken for room in _rooms(model, parameters)]
    return max(1, min(DEFAULT_PARALLEL, *suits))


def fitting(model: Model, parameters: ContextParameters) -> ContextParameters:
    """``parameters`` with as many sequences as the free memory holds, or as they ask.

    llama.cpp writes a whole KV cache at once, and a system that lends more than it has then ends
    the process. Raises GgmlError if there is no room for one sequence.
    """
    sparse = SPARSE if model.window or model.has_state else 1
    most = MAX_CELLS // parameters.cells
    for room in _rooms(model, parameters):
        taken = max(room.taken // sparse, 1)
        most = min(most, room.free // taken)
        if not most:
            tokens = parameters.cells * room.free // taken
            raise GgmlError(
                NnErrno.INVALID_ARGUMENT,
                f"the context cannot be set up: {parameters.cells} tokens (ctx-size) take"
                f" {shown(taken)}, and {shown(room.free)} {room.where} are free;"
                f" {tokens // MIN_CONTEXT * MIN_CONTEXT} tokens fit",
            )
    if parameters.embeddings or most >= parameters.parallel:
        return parameters
    _log.warning(
        "[WASI-NN] GGML backend: %s: %d sequences of %d tokens were asked for, and %d fit",
        model.path.name,
        parameters.parallel,
        parameters.cells,
        most,
    )
    return replace(parameters, parallel=most)


def cache_bytes(header: Gguf, parameters: ContextParameters) -> int:
    """Bytes that the KV cache of one sequence takes, as the header lets one estimate it."""
    return sum(layer_bytes(header, parameters))


def layer_bytes(header: Gguf, parameters: ContextParameters) -> list[int]:
    """Bytes that each layer takes of the KV cache of one sequence."""
    heads = header.by_layer("attention.head_count")
    most = max(heads, default=1) or 1
    shared = header.by_layer("attention.head_count_kv") or heads
    if not any(shared):  # a model without attention: its state, as if it had one head
        shared = [most] * header.integer("block_count")
    width = header.integer("embedding_length") // most
    token = sum(
        (header.integer(f"attention.{part}_length") or width) * CACHE_TYPES[kind]
        for part, kind in zip(("key", "value"), parameters.cache_types, strict=True)
    )
    return [int(parameters.cells * count * token) for count in shared]


def swap_bytes(header: Gguf, parameters: ContextParameters) -> int:
    """Bytes that caches may take that were swapped out.

    Unless they are told, as many as the KV cache itself, or less. Raises GgmlError for more
    than there is memory.
    """
    free = available_memory()
    if parameters.swap > free:
        raise GgmlError(
            NnErrno.INVALID_ARGUMENT,
            f"the option cache-ram cannot be used: it asks for {shown(parameters.swap)}, and"
            f" {shown(free)} of memory are free",
        )
    if parameters.swap >= 0:
        return parameters.swap
    return min(cache_bytes(header, parameters) * parameters.parallel, free // (2 * SHARE))
