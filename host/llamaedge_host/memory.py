"""A guest's linear memory, every access checked.

The engine settings keep a memory where it is when it grows (its whole range of addresses is
reserved), so one view serves until an access beyond its end asks for the new size.
"""

import ctypes
import struct
from collections.abc import Callable

from .errors import BadPointer

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")

Locate = Callable[[], tuple[int, int]]
"""Answers the memory's address in this process and its size in bytes; (0, 0) for none."""


class Memory:
    """Checked access to one linear memory. Pointers are unsigned 32-bit offsets.

    Every method raises BadPointer for a range outside the memory.
    """

    def __init__(self, locate: Locate) -> None:
        self._locate = locate
        self._view = memoryview(b"")
        self._address = 0

    @property
    def size(self) -> int:
        """Bytes at present."""
        self._refresh()
        return len(self._view)

    def _refresh(self) -> None:
        address, size = self._locate()
        if size != len(self._view) or address != self._address:
            array = (
                (ctypes.c_ubyte * size).from_address(address) if size else (ctypes.c_ubyte * 0)()
            )
            self._view = memoryview(array).cast("B")
            self._address = address

    def up_to(self, end: int) -> memoryview:
        """All of the memory, which has at least ``end`` bytes; valid as view's windows are.

        For calls that are made so often that one check for several accesses counts.
        """
        return self._view if end <= len(self._view) else self._check(0, end)

    def _check(self, pointer: int, length: int) -> memoryview:
        if pointer + length > len(self._view):
            self._refresh()
            if pointer + length > len(self._view):
                raise BadPointer(
                    f"{length} bytes at {pointer:#x} in a memory of {len(self._view)} bytes"
                )
        return self._view

    def view(self, pointer: int, length: int) -> memoryview:
        """A writable window, valid until the next call into wasm."""
        return self._check(pointer, length)[pointer : pointer + length]

    def read(self, pointer: int, length: int) -> bytes:
        """A copy of ``length`` bytes."""
        return bytes(self._check(pointer, length)[pointer : pointer + length])

    def write(self, pointer: int, data: bytes | bytearray | memoryview) -> None:
        """Copy ``data`` (bytes) into the memory."""
        self._check(pointer, len(data))[pointer : pointer + len(data)] = data

    def unpack(self, layout: struct.Struct, pointer: int) -> tuple[int, ...]:
        """The values of ``layout`` at ``pointer``."""
        return layout.unpack_from(self._check(pointer, layout.size), pointer)

    def pack(self, layout: struct.Struct, pointer: int, *values: int) -> None:
        """Write ``values`` in ``layout`` at ``pointer``."""
        layout.pack_into(self._check(pointer, layout.size), pointer, *values)

    def u32(self, pointer: int) -> int:
        """The unsigned 32-bit number at ``pointer``."""
        return _U32.unpack_from(self._check(pointer, 4), pointer)[0]  # type: ignore[no-any-return]

    def set_u16(self, pointer: int, value: int) -> None:
        """Write an unsigned 16-bit number."""
        _U16.pack_into(self._check(pointer, 2), pointer, value)

    def set_u32(self, pointer: int, value: int) -> None:
        """Write an unsigned 32-bit number."""
        _U32.pack_into(self._check(pointer, 4), pointer, value)
