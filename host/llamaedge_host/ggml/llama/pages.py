"""The pages of a KV cache: given back to the system where a sequence has left them.

What a cache has once held stays in memory, though nothing looks at it any more. llama.cpp makes
one tensor of each layer's keys and one of its values, in which the sequences' cells lie one
sequence after another, unless all share them. Where the tensors are is seen as they are allocated.
Source: llama-kv-cache.cpp.
"""

import ctypes
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from .library import function, llama
from .links import link
from .zeroing import Region, discard, extent, of_processor

_NAME = "ggml_backend_alloc_ctx_tensors_from_buft"
_TENSOR = re.compile(rb"cache_\w*[kv]_l\d+")
_ALLOCATE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)

_allocate_all = function(_NAME, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_first_of = function("ggml_get_first_tensor", ctypes.c_void_p, ctypes.c_void_p)
_next_of = function("ggml_get_next_tensor", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_name_of = function("ggml_get_name", ctypes.c_char_p, ctypes.c_void_p)
_data_of = function("ggml_get_data", ctypes.c_void_p, ctypes.c_void_p)
_size_of = function("ggml_nbytes", ctypes.c_size_t, ctypes.c_void_p)


_Look = Callable[[int, int, int], Iterable[Region]]
"""What is of interest, of an allocated ggml_context, its buffer and the buffer's type."""


class _Mine(threading.local):
    """Who looks at what is allocated in one thread, and what they have found."""

    def __init__(self) -> None:
        self.looks: list[tuple[_Look, list[Region]]] = []


_mine = _Mine()


@contextmanager
def _found(look: _Look) -> Iterator[list[Region]]:
    entry: tuple[_Look, list[Region]] = look, []
    _mine.looks.append(entry)
    try:
        yield entry[1]
    finally:
        _mine.looks.remove(entry)


def caches() -> AbstractContextManager[list[Region]]:
    """The tensors of KV caches that this thread allocates in its own memory within the block."""
    return _found(lambda tensors, _, kind: _regions(tensors) if of_processor(kind) else ())


def buffers() -> AbstractContextManager[list[Region]]:
    """What this thread allocates for tensors within the block, wherever that is."""
    return _found(lambda _, buffer, __: [extent(buffer)])


def _allocate(tensors: int, buffer_type: int) -> int | None:
    """Allocate the tensors of a ggml_context: ggml's own function."""
    buffer: int | None = _allocate_all(tensors, buffer_type)
    if buffer:
        for look, found in _mine.looks:
            found += look(tensors, buffer, buffer_type)
    return buffer


def _regions(tensors: int) -> Iterator[Region]:
    tensor = _first_of(tensors)
    while tensor:
        if _TENSOR.fullmatch(_name_of(tensor)):
            yield _data_of(tensor), _size_of(tensor)
        tensor = _next_of(tensors, tensor)


_callback = _ALLOCATE(_allocate)
link(llama._lib, _NAME, ctypes.cast(_callback, ctypes.c_void_p).value or 0)


class Pages:
    """Those of the tensors ``regions``, each of which has the cells of so many ``streams``."""

    def __init__(self, regions: Sequence[Region], streams: int) -> None:
        self._regions = regions
        self._streams = streams

    @property
    def size(self) -> int:
        """Bytes of all streams; 0 where nothing is known of them."""
        return sum(size for _, size in self._regions)

    def release(self, stream: int) -> int:
        """Give back what ``stream`` takes of memory, whose cells are all free; how many bytes."""
        parts = ((begin, size // self._streams) for begin, size in self._regions)
        return sum(discard(begin + stream * part, part) for begin, part in parts)
