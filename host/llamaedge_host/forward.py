"""Calls wasmtime's own WASI functions on behalf of a host function.

wasmtime's functions work on the exported memory of the module that calls them. The forwarder
is a small generated module that imports the guest's memory, exports it again, and has one
function a WASI function that calls on.
"""

from collections.abc import Callable

from wasmtime import FuncType, Instance, Linker, Memory, Module, Store, WasmtimeError

from .errno import Errno
from .hostcall import RawCall

WASI = "wasi_snapshot_preview1"

_ERRNOS = {"not aligned": Errno.ADDRNOTAVAIL, "out of bounds": Errno.FAULT}
"""What wasmtime says of a bad pointer; the rest is about values."""


class Forward:
    """wasmtime's WASI functions by name, working on the guest's memory."""

    def __init__(self, store: Store, wasi: Linker, memory: Callable[[], Memory | None]) -> None:
        self._store = store
        self._wasi = wasi
        self._memory = memory
        self._calls: dict[str, RawCall] = {}

    def __call__(self, name: str, arguments: tuple[int, ...]) -> int:
        """The errno of wasmtime's function ``name``.

        FAULT for a pointer outside the guest's memory, ADDRNOTAVAIL for a misaligned one and
        INVAL for an unknown value of an enumeration or flag, as WasmEdge answers: wasmtime
        itself would end the guest.
        """
        call = self._calls.get(name)
        if call is None:
            memory = self._memory()
            if memory is None:
                return Errno.FAULT
            call = self._calls[name] = self._link(name, memory)
        try:
            return call(*arguments)
        except WasmtimeError as error:
            message = str(error)
            return next((errno for text, errno in _ERRNOS.items() if text in message), Errno.INVAL)

    def _link(self, name: str, memory: Memory) -> RawCall:
        function = self._wasi.get(self._store, WASI, name)
        module = Module(self._store.engine, _text(function.type(self._store)))
        instance = Instance(self._store, module, [memory, function])
        return RawCall(self._store, instance.exports(self._store)["call"])


def _text(type: FuncType) -> str:  # noqa: A002
    params = " ".join(str(each) for each in type.params)
    gets = " ".join(f"local.get {index}" for index in range(len(type.params)))
    return f"""(module
        (import "guest" "memory" (memory 0))
        (import "wasi" "function" (func $function (param {params}) (result i32)))
        (export "memory" (memory 0))
        (func (export "call") (param {params}) (result i32) {gets} call $function))"""
