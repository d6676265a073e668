"""A KV cache takes memory as it is used, and reads as zeros where it was cleared."""

import ctypes
import mmap
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_cpp._ggml import libggml

from llamaedge_host.ggml.llama import zeroing
from llamaedge_host.ggml.llama.links import link

from .conftest import Load, run
from .test_capacity import needed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pages are Linux's")

CELLS, PARALLEL = 8192, 4


def anonymous() -> int:
    """Bytes of this process's own memory that are there."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


def test_a_cache_takes_memory_as_it_is_used(load: Load) -> None:
    assert zeroing.ON_USE
    graph = load(ctx_size=CELLS, n_predict=2)
    cache = needed(graph, CELLS, PARALLEL).here.cache
    assert cache > 500 << 20
    before = anonymous()
    engine = graph.engine()
    made = anonymous() - before
    context = graph.context()
    run(context, b"the sea and the bird " * 20)
    used = anonymous() - before
    assert getattr(engine, "parallel", 0) == PARALLEL
    assert made < cache / 50
    assert used < cache / 4
    context.close()


@pytest.fixture
def buffer() -> Iterator[int]:
    """A buffer of ggml's on the processor, of no whole number of pages."""
    allocate = libggml.ggml_backend_buft_alloc_buffer
    allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t]
    free = libggml.ggml_backend_buffer_free
    free.restype, free.argtypes = None, [ctypes.c_void_p]
    made = allocate(zeroing._processor(), (3 << 20) + 129)
    yield made
    free(made)


@pytest.mark.parametrize("value", [0, 1])
def test_a_cleared_buffer_reads_as_what_it_was_cleared_with(buffer: int, value: int) -> None:
    base, size = zeroing._base_of(buffer), zeroing._size_of(buffer)
    ctypes.memset(base, 0xFF, size)
    zeroing.clear(buffer, value)
    assert ctypes.string_at(base, size) == bytes([value]) * size


def test_pages_that_are_locked_are_cleared_too(buffer: int) -> None:
    base, size = zeroing._base_of(buffer), zeroing._size_of(buffer)
    libc = ctypes.CDLL(None)
    if libc.mlock(ctypes.c_void_p(base), mmap.PAGESIZE):
        pytest.skip("this process may lock no memory")
    ctypes.memset(base, 0xFF, size)
    zeroing.clear(buffer, 0)
    libc.munlock(ctypes.c_void_p(base), mmap.PAGESIZE)
    assert ctypes.string_at(base, size) == bytes(size)


def test_a_name_that_no_library_calls_is_not_linked() -> None:
    assert not link(libggml, "no_such_function", 1)
