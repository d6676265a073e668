"""Calls of the functions that a module exports, through wasmtime's raw call interface.

wasmtime-py's own call ends the process where a type is v128 or a reference of most kinds.
Source: wasmtime's C API, wasmtime_func_call_unchecked.
"""

import ctypes
from typing import Any

from wasmtime import Func, Store, Trap, WasmtimeError
from wasmtime import _ffi as ffi

from .errors import HostError
from .values import Value, from_raw, letters, raw_values, to_raw
from .wording import counted


def call_export(store: Store, function: Func, arguments: tuple[Value, ...]) -> list[Value]:
    """The results of ``function``.

    Raises HostError for arguments that are not of its types, Trap and WasmtimeError if it ends.
    """
    type_ = function.type(store)
    params, results = letters(type_.params), letters(type_.results)
    if len(arguments) != len(params):
        raise HostError(
            f"the function takes {counted(len(params), 'argument')}, was given {len(arguments)}"
        )
    values = raw_values(max(len(params), len(results)))
    for index, (letter, argument) in enumerate(zip(params, arguments, strict=True)):
        to_raw(values, index, letter, argument)
    _call(store._context(), function._func, values)
    return [from_raw(values, index, letter) for index, letter in enumerate(results)]


class ErrnoCall:
    """Calls one wasm function of integer parameters and one i32 result, over and over."""

    def __init__(self, store: Store, function: Func) -> None:
        self._context = store._context()
        self._function = function._func
        self._values = raw_values(len(function.type(store).params))
        self._words = (ctypes.c_uint64 * (len(self._values) * 2)).from_buffer(self._values)

    def __call__(self, *arguments: int) -> int:
        """The function's result, unsigned; raises Trap and WasmtimeError if it ends."""
        words = self._words
        for index, argument in enumerate(arguments):
            words[index * 2] = argument
        _call(self._context, self._function, self._values)
        return int(words[0]) & 0xFFFFFFFF


def _call(context: Any, function: Any, values: Any) -> None:
    trap = ctypes.POINTER(ffi.wasm_trap_t)()
    error = ffi.wasmtime_func_call_unchecked(
        context, ctypes.byref(function), values, len(values), ctypes.byref(trap)
    )
    if error:
        raise WasmtimeError._from_ptr(error)
    if trap:
        raise Trap._from_ptr(trap)
