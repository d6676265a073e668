"""Host functions through wasmtime's raw call interface.

wasmtime calls a ctypes callback with an array of 16-byte raw values that holds the arguments
and takes the results. The callback reads it by address, as the import's own type says, so an
empty call costs under a microsecond where wasmtime-py's checked wrapper costs fourteen.
Calls the other way are in exports.

Source: wasmtime's C API, wasmtime_func_new_unchecked and wasmtime_val_raw_t.
"""

import ctypes
import struct
from typing import Any

from wasmtime import Func, FuncType, Memory, Store
from wasmtime import _ffi as ffi

from .errors import BadPointer, Interrupted
from .imports import HostFunction
from .values import letters

_WORDS = 4  # of 32 bits in a raw value of 16 bytes
_LAYOUTS = {"i": "I12x", "I": "Q8x", "f": "f12x", "F": "d8x"}
_RESULTS: dict[str, Any] = {"i": ctypes.c_uint32, "I": ctypes.c_uint64, "f": ctypes.c_float,
                            "F": ctypes.c_double}  # fmt: skip

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t
)
_NO_FINALIZER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(0)


class HostCalls:
    """The raw host functions of one store. Keeps their callbacks alive, and the exception
    that ended the guest: wasm in between cannot carry it.

    ``returned`` counts the calls that have; ``present`` is the name of the one under way.
    """

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self.returned = 0
        self.present: str | None = None
        self._callbacks: list[object] = []
        self._caller: int | None = None

    def create(
        self,
        store: Store,
        type: FuncType,  # noqa: A002
        function: HostFunction,
        fault: int,
        name: str,
    ) -> Func:
        """A wasm function of ``type`` in ``store`` that calls ``function``, which is ``name``.

        BadPointer from it becomes the result ``fault``; any other exception a trap.
        """
        return self._create(
            store,
            type,
            self._callback(letters(type.params), letters(type.results), function, fault, name),
        )

    def create_trap(self, store: Store, type: FuncType, error: Exception) -> Func:  # noqa: A002
        """A wasm function of any type that ends the guest with ``error`` when called."""

        def call(_env: int, _caller: int, _values: int, _count: int) -> int:
            return self._trap(error)

        return self._create(store, type, _Callback(call))

    def caller_memory(self) -> Memory | None:
        """The memory exported by the module that made the present host call.

        For calls of a start function, when there is no instance to ask yet.
        """
        item = ffi.wasmtime_extern_t()
        caller = ctypes.cast(self._caller or 0, ctypes.POINTER(ffi.wasmtime_caller_t))
        if not caller or not ffi.wasmtime_caller_export_get(
            caller, ctypes.create_string_buffer(b"memory"), len(b"memory"), ctypes.byref(item)
        ):
            return None
        return (
            Memory._from_raw(item.of.memory)
            if item.kind == ffi.WASMTIME_EXTERN_MEMORY.value
            else None
        )

    def _create(self, store: Store, type: FuncType, callback: Any) -> Func:  # noqa: A002
        self._callbacks.append(callback)
        raw = ffi.wasmtime_func_t()
        ffi.wasmtime_func_new_unchecked(
            store._context(),
            type.ptr(),
            ctypes.cast(callback, ffi.wasmtime_func_unchecked_callback_t),
            None,
            _NO_FINALIZER,
            ctypes.byref(raw),
        )
        return Func._from_raw(raw)

    def _callback(
        self, params: str, results: str, function: HostFunction, fault: int, name: str
    ) -> Any:
        if set(params + results) <= {"i"}:
            return self._word_callback(len(params), bool(results), function, fault, name)
        return self._mixed_callback(params, results, function, fault, name)

    def _word_callback(
        self, arity: int, has_result: bool, function: HostFunction, fault: int, name: str
    ) -> Any:
        """All values are i32, as in nearly every import: one array of words serves them."""
        locate = (ctypes.c_uint32 * (_WORDS * max(arity, 1))).from_address
        unpack = struct.Struct("<" + _LAYOUTS["i"] * arity).unpack_from

        def call(_env: int, caller: int, values: int, _count: int) -> int:
            try:
                self._caller, self.present = caller, name
                words = locate(values)
                try:
                    result = function(*unpack(words))
                except BadPointer:
                    result = fault
                if has_result:
                    words[0] = result or 0
                self.present = None
                self.returned += 1
            except BaseException as error:
                return self._trap(error)
            return 0

        return _Callback(call)

    def _mixed_callback(
        self, params: str, results: str, function: HostFunction, fault: int, name: str
    ) -> Any:
        layout = struct.Struct("<" + "".join(_LAYOUTS[each] for each in params))
        result_type = _RESULTS[results] if results else None

        def call(_env: int, caller: int, values: int, _count: int) -> int:
            try:
                self._caller, self.present = caller, name
                try:
                    result = function(*layout.unpack(ctypes.string_at(values, layout.size)))
                except BadPointer:
                    result = fault
                if result_type is not None:
                    result_type.from_address(values).value = result
                self.present = None
                self.returned += 1
            except BaseException as error:
                return self._trap(error)
            return 0

        return _Callback(call)

    def _trap(self, error: BaseException) -> int:
        self.failure = error
        reason = str(error) or type(error).__name__
        message = reason if isinstance(error, Interrupted) else f"host function failed: {reason}"
        data = message.encode(errors="replace")
        trap = ffi.wasmtime_trap_new(ctypes.create_string_buffer(data), len(data))
        return ctypes.cast(trap, ctypes.c_void_p).value or 0
