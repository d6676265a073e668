"""Layouts in a guest's memory that files and sockets share."""

import struct

from ..memory import Memory

MAX_VECTORS = 1024
"""The most buffers in one call (WasmEdge's kIOVMax)."""

VECTOR = struct.Struct("<II")
"""An iovec: buffer u32, length u32."""

FILESTAT = struct.Struct("<QQB7xQQQQQ")
"""filestat: dev, ino, filetype u8, nlink, size, then atim, mtim, ctim (nanoseconds)."""

FILETYPE_OFFSET = 16

U32 = struct.Struct("<I")
U16 = struct.Struct("<H")


def vectors(memory: Memory, pointer: int, count: int) -> list[memoryview]:
    """The windows of an iovec array. Raises BadPointer."""
    if count == 1:
        start, length = VECTOR.unpack_from(memory.up_to(pointer + 8), pointer)
        return [memory.up_to(start + length)[start : start + length]]
    array = memory.view(pointer, count * VECTOR.size)
    return [memory.view(start, length) for start, length in VECTOR.iter_unpack(array)]
