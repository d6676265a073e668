"""A KV cache takes memory as it is used, and none to be set up.

llama.cpp writes zeros over a new cache, which for long contexts takes seconds and all of its
memory, most of which no token ever reaches. Pages that are handed back to the system read as
zeros too, and are taken again when they are written. So where llama.cpp clears a buffer that is
its own memory of the processor, it calls a function here instead of its own.
"""

import ctypes
import logging
import mmap

from .library import function, llama
from .links import link

Region = tuple[int, int]
"""An address, and how many bytes there are from there on."""

_log = logging.getLogger("llamaedge_host.nn")
_NAME = "ggml_backend_buffer_clear"
_DONT_NEED = 4  # MADV_DONTNEED
_LEAST = 1 << 20
"""Bytes of a buffer whose pages are worth a call."""
_libc = ctypes.CDLL(None, use_errno=True)
_CLEAR = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint8)

_clear_all = function(_NAME, None, ctypes.c_void_p, ctypes.c_uint8)
_type_of = function("ggml_backend_buffer_get_type", ctypes.c_void_p, ctypes.c_void_p)
_base_of = function("ggml_backend_buffer_get_base", ctypes.c_void_p, ctypes.c_void_p)
_size_of = function("ggml_backend_buffer_get_size", ctypes.c_size_t, ctypes.c_void_p)
_processor = function("ggml_backend_cpu_buffer_type", ctypes.c_void_p)


def clear(buffer: int, value: int) -> None:
    """Make all bytes of ``buffer``, a ggml_backend_buffer, ``value``: ggml's own function."""
    begin, size = extent(buffer)
    if value or size < _LEAST or not of_processor(_type_of(buffer)):
        _clear_all(buffer, value)
        return
    if not discard(begin, size):
        _clear_all(buffer, value)  # pages that are locked into memory stay
        return
    ctypes.memset(begin, 0, -begin % mmap.PAGESIZE)
    end = begin + size
    rest = end % mmap.PAGESIZE
    ctypes.memset(end - rest, 0, rest)


def extent(buffer: int) -> Region:
    """Where ``buffer``, a ggml_backend_buffer, lies."""
    return _base_of(buffer), _size_of(buffer)


def of_processor(buffer_type: int) -> bool:
    """Whether buffers of ``buffer_type`` are this process's own memory."""
    return bool(buffer_type == _processor())


def discard(begin: int, size: int) -> int:
    """Hand back the whole pages among ``size`` bytes from ``begin`` on, which then read as zeros.

    Answers how many bytes; 0 where the system refuses, and then nothing has changed.
    """
    first, last = begin + -begin % mmap.PAGESIZE, (begin + size) // mmap.PAGESIZE * mmap.PAGESIZE
    length = max(last - first, 0)
    refused = _libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), _DONT_NEED)
    return 0 if refused else length


_callback = _CLEAR(clear)
ON_USE = link(llama._lib, _NAME, ctypes.cast(_callback, ctypes.c_void_p).value or 0)
"""Whether a cache takes its memory as it is used; else all of it at once, as llama.cpp does."""
