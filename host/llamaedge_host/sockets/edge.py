"""What the socket functions share at the ABI's edge."""

import functools
import struct
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from ..errno import Errno, from_os_error
from ..imports import HostFunction
from ..memory import Memory

Imports = dict[tuple[str, str], HostFunction]
"""Host functions by import name and parameter letters."""

MAX_VECTORS = 1024
"""The most buffers in one call (WasmEdge's kIOVMax)."""

VECTOR = struct.Struct("<II")
"""An iovec: buffer u32, length u32."""

U32 = struct.Struct("<I")
U16 = struct.Struct("<H")

_Self = TypeVar("_Self")
_Params = ParamSpec("_Params")


def answers_errno(
    function: Callable[Concatenate[_Self, _Params], int],
) -> Callable[Concatenate[_Self, _Params], int]:
    """Make an OSError of ``function`` the errno that the guest gets."""

    @functools.wraps(function)
    def call(self: _Self, /, *args: _Params.args, **kwargs: _Params.kwargs) -> int:
        try:
            return function(self, *args, **kwargs)
        except OSError as error:
            return from_os_error(error)

    return call


def vectors(memory: Memory, pointer: int, count: int) -> list[memoryview]:
    """The windows of an iovec array. Raises BadPointer."""
    if count == 1:
        start, length = VECTOR.unpack_from(memory.whole(pointer + 8), pointer)
        return [memory.whole(start + length)[start : start + length]]
    array = memory.view(pointer, count * VECTOR.size)
    return [memory.view(start, length) for start, length in VECTOR.iter_unpack(array)]


def misaligned(alignment: int, *pointers: int) -> bool:
    """Whether one of ``pointers`` is not a multiple of ``alignment`` (a power of two)."""
    return any(pointer & (alignment - 1) for pointer in pointers)


MISALIGNED = Errno.ADDRNOTAVAIL
"""What WasmEdge's socket functions answer for a misaligned pointer."""
