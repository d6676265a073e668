"""WebAssembly's value types, and values as wasmtime's raw calls lay them out: 16 bytes each.

Source: wasmtime's C API, wasmtime_val_raw_t.
"""

import operator
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from wasmtime import ValType
from wasmtime import _ffi as ffi

from .errors import HostError

SIZE = 16
"""Bytes of a raw value."""


@dataclass(frozen=True)
class Reference:
    """A reference that a guest answered, which is not null: ``kind`` is its type's name."""

    kind: str


Value = int | float | Reference | None
"""A number (v128 as an unsigned one), a reference, or None for a null reference."""


@dataclass(frozen=True)
class _Type:
    name: str
    layout: struct.Struct
    to_raw: Callable[[Any], Any]
    from_raw: Callable[[Any], Value]


def _integer(name: str, layout: str, bits: int) -> _Type:
    def to_raw(value: Any) -> int:
        number = operator.index(value)
        if not -(1 << (bits - 1)) <= number < 1 << bits:
            raise ValueError
        return number & ((1 << bits) - 1)

    def from_raw(value: int) -> int:
        return value - (1 << bits) if value >> (bits - 1) else value

    return _Type(name, struct.Struct(layout), to_raw, from_raw)


def _float(name: str, layout: str) -> _Type:
    return _Type(name, struct.Struct(layout), lambda value: value, float)


def _reference(name: str) -> _Type:
    def to_raw(value: Any) -> int:
        if value is not None:
            raise TypeError
        return 0

    return _Type(
        name, struct.Struct("<Q8x"), to_raw, lambda value: Reference(name) if value else None
    )


_VECTOR = _Type(
    "v128",
    struct.Struct("<16s"),
    lambda value: operator.index(value).to_bytes(SIZE, "little"),
    lambda value: int.from_bytes(value, "little"),
)
_OTHER = "?"
_TYPES = {
    "i": _integer("i32", "<I12x", 32),
    "I": _integer("i64", "<Q8x", 64),
    "f": _float("f32", "<f12x"),
    "F": _float("f64", "<d8x"),
    "V": _VECTOR,
    "r": _reference("funcref"),
    "e": _reference("externref"),
    _OTHER: _reference("reference"),
}


@cache
def _known() -> tuple[tuple[str, Any], ...]:
    """wasmtime's types by letter. It ends the process if it is asked for another's kind."""
    types = {
        "i": ValType.i32(),
        "I": ValType.i64(),
        "f": ValType.f32(),
        "F": ValType.f64(),
        "V": ValType._from_ptr(ffi.wasmtime_wasm_valtype_v128(), None),
        "r": ValType.funcref(),
        "e": ValType.externref(),
    }
    return tuple(types.items())


def letters(types: Sequence[Any]) -> str:
    """One letter a wasm value type, as imports.Provider.resolve takes them.

    V is v128, r funcref, e externref, ? a reference of another type.
    """
    known = [(letter, each.ptr()) for letter, each in _known()] if types else []
    return "".join(_letter(each.ptr(), known) for each in types)


def _letter(type_: Any, known: Sequence[tuple[str, Any]]) -> str:
    return next(
        (letter for letter, each in known if ffi.wasmtime_wasm_valtype_equal(type_, each)), _OTHER
    )


def type_name(letter: str) -> str:
    """The name of the type that has this letter: i32, v128, externref, reference and so on."""
    return _TYPES[letter].name


def to_raw(values: Any, index: int, letter: str, value: Value) -> None:
    """Put ``value`` at ``index`` of the raw values in ``values``. Raises HostError."""
    type_ = _TYPES[letter]
    try:
        type_.layout.pack_into(values, index * SIZE, type_.to_raw(value))
    except (TypeError, ValueError, OverflowError, struct.error):
        raise HostError(f"{value!r} is not of type {type_.name}") from None


def from_raw(values: Any, index: int, letter: str) -> Value:
    """The value at ``index`` of the raw values in ``values``."""
    type_ = _TYPES[letter]
    (raw,) = type_.layout.unpack_from(values, index * SIZE)
    return type_.from_raw(raw)


def raw_values(count: int) -> Any:
    """A ctypes array of ``count`` raw values, one at least."""
    return (ffi.wasmtime_val_raw_t * max(count, 1))()
