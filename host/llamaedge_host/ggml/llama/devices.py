"""The devices that this build of llama.cpp computes on, and their memory.

Source: ggml-backend.h.
"""

import ctypes
from dataclasses import dataclass

from .library import ggml

KINDS = {0: "CPU", 1: "GPU", 2: "integrated GPU", 3: "accelerator"}
"""ggml_backend_dev_type."""


@dataclass(frozen=True)
class Device:
    """A device as ggml tells it; memory in bytes, 0 where it does not say."""

    name: str
    description: str
    kind: str
    free: int
    total: int


def devices() -> tuple[Device, ...]:
    """Every device, in ggml's order. A driver that is broken may end the process."""
    count = ggml.ggml_backend_dev_count
    count.restype, count.argtypes = ctypes.c_size_t, []
    get = ggml.ggml_backend_dev_get
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    return tuple(_device(get(number)) for number in range(count()))


def _device(pointer: int) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    memory = ggml.ggml_backend_dev_memory
    memory.restype = None
    memory.argtypes = [ctypes.c_void_p, *[ctypes.POINTER(ctypes.c_size_t)] * 2]
    memory(pointer, ctypes.byref(free), ctypes.byref(total))
    kind = ggml.ggml_backend_dev_type
    kind.restype, kind.argtypes = ctypes.c_int, [ctypes.c_void_p]
    number = kind(pointer)
    return Device(
        _text("ggml_backend_dev_name", pointer),
        _text("ggml_backend_dev_description", pointer),
        KINDS.get(number, f"device of type {number}"),
        free.value,
        total.value,
    )


def _text(function: str, pointer: int) -> str:
    call = getattr(ggml, function)
    call.restype, call.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    return (call(pointer) or b"").decode(errors="replace")
