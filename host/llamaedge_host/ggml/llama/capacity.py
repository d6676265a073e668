"""How many sequences a context has room for: what their KV cache takes, and what there is."""

import os
from pathlib import Path

from ...nn.errno import ErrNo
from ..errors import GgmlError
from .context import CACHE_TYPES, ContextParameters
from .gguf import Gguf
from .library import llama
from .model import Model

DEFAULT_PARALLEL = 8
SHARE = 8
"""The KV cache takes at most one part in so many of the available memory, unless told."""

CELL_BYTES = 48
"""Bytes that llama.cpp keeps of each cell besides its keys and values."""
SPARSE = 16
"""Of a model with a sliding window or a state, at least one layer in so many keeps every token."""
MAX_CELLS = 2**31 - 1


def check(model: Model, parameters: ContextParameters) -> None:
    """Raise GgmlError if a KV cache of ``parameters`` is larger than the memory that is free.

    llama.cpp writes all of it at once, and a system that lends more than it has then ends the
    process.
    """
    streams = 1 if parameters.embeddings else parameters.parallel
    each = cache_bytes(model.header, parameters)
    if model.window or model.has_state:
        each //= SPARSE
    if parameters.offload and llama.llama_supports_gpu_offload():
        each = 0
    cells = parameters.cells * streams
    needed, free = each * streams + cells * CELL_BYTES, available_memory()
    if cells > MAX_CELLS or needed > free:
        raise GgmlError(
            ErrNo.INVALID_ARGUMENT,
            f"the context cannot be set up: {streams} times {parameters.cells} tokens (ctx-size)"
            f" take {needed // 10**6} MB, and {free // 10**6} MB are free",
        )


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


def available_memory() -> int:
    """Bytes that may still be used: the machine's, cut by the cgroup's limit."""
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    free = pages
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    limit = "".join(_lines(Path("/sys/fs/cgroup/memory.max")))
    used = "".join(_lines(Path("/sys/fs/cgroup/memory.current")))
    if limit.isdigit() and used.isdigit():
        free = min(free, int(limit) - int(used))
    return max(free, 0)


def parallel(header: Gguf, parameters: ContextParameters) -> int:
    """The number of sequences that serves well: 8, or fewer if memory is short; at least 1."""
    each = max(cache_bytes(header, parameters), 1)
    return max(1, min(DEFAULT_PARALLEL, available_memory() // SHARE // each))


def swap_bytes(header: Gguf, parameters: ContextParameters) -> int:
    """Bytes that caches may take that were swapped out: as many as the KV cache itself, or less."""
    whole = cache_bytes(header, parameters) * parameters.parallel
    return min(whole, available_memory() // (2 * SHARE))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
