"""Checked access to a guest's memory."""

import ctypes
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_host.errors import BadPointer
from llamaedge_host.memory import Memory

SIZE = 4096


class Linear:
    """A stand-in for wasm memory that can grow."""

    def __init__(self) -> None:
        self.buffer = ctypes.create_string_buffer(SIZE * 2)
        self.size = SIZE

    def locate(self) -> tuple[int, int]:
        return ctypes.addressof(self.buffer), self.size


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_range_is_readable_just_when_it_is_inside(pointer: int, length: int) -> None:
    memory = Memory(Linear().locate)
    if pointer + length <= SIZE:
        assert memory.read(pointer, length) == bytes(length)
        assert len(memory.view(pointer, length)) == length
    else:
        with pytest.raises(BadPointer):
            memory.read(pointer, length)
        with pytest.raises(BadPointer):
            memory.view(pointer, length)


@given(st.integers(SIZE - 16, SIZE + 16), st.binary(max_size=32))
def test_a_write_lands_whole_or_not_at_all(pointer: int, data: bytes) -> None:
    linear = Linear()
    memory = Memory(linear.locate)
    if pointer + len(data) <= SIZE:
        memory.write(pointer, data)
        assert memory.read(pointer, len(data)) == data
    else:
        with pytest.raises(BadPointer):
            memory.write(pointer, data)
        assert linear.buffer.raw == bytes(SIZE * 2)


def test_growth_is_seen() -> None:
    linear = Linear()
    memory = Memory(linear.locate)
    with pytest.raises(BadPointer):
        memory.set_u32(SIZE, 1)
    linear.size = SIZE * 2
    memory.set_u32(SIZE, 0x01020304)
    assert memory.read(SIZE, 4) == b"\x04\x03\x02\x01"
    assert memory.size == SIZE * 2


def test_numbers_are_little_endian() -> None:
    memory = Memory(Linear().locate)
    memory.set_u16(2, 0x2233)
    memory.set_u32(8, 0x05060708)
    assert memory.read(0, 4) == b"\0\0\x33\x22"
    assert memory.read(8, 4) == b"\x08\x07\x06\x05"
    assert memory.u32(8) == 0x05060708
    pair = struct.Struct("<II")
    memory.pack(pair, 16, 1, 2)
    assert memory.unpack(pair, 16) == (1, 2)


def test_no_memory_is_no_range() -> None:
    memory = Memory(lambda: (0, 0))
    assert memory.size == 0
    with pytest.raises(BadPointer):
        memory.u32(0)
