"""Calls wasmtime's own WASI functions on behalf of a host function.

wasmtime's functions work on the exported memory of the module that calls them. The forwarder
is a small generated module that imports the guest's memory, exports it again, and has one
function a WASI function that calls on.
"""

from collections.abc import Callable
from functools import cache

from wasmtime import Func, Instance, Linker, Memory, Store, Table, WasmtimeError, wat2wasm
from wasmtime._instance import InstanceExports

from . import modules
from .exports import ErrnoCall
from .imports import HostFunction
from .preview1.errnos import Errno

WASI = "wasi_snapshot_preview1"

_PARAMS = {
    "clock_res_get": "ii", "clock_time_get": "iIi", "fd_advise": "iIIi", "fd_allocate": "iII",
    "fd_close": "i", "fd_datasync": "i", "fd_fdstat_get": "ii", "fd_fdstat_set_flags": "ii",
    "fd_fdstat_set_rights": "iII", "fd_filestat_get": "ii", "fd_filestat_set_size": "iI",
    "fd_filestat_set_times": "iIIi", "fd_pread": "iiiIi", "fd_prestat_dir_name": "iii",
    "fd_prestat_get": "ii", "fd_pwrite": "iiiIi", "fd_read": "iiii", "fd_readdir": "iiiIi",
    "fd_renumber": "ii", "fd_seek": "iIii", "fd_sync": "i", "fd_tell": "ii", "fd_write": "iiii",
    "path_create_directory": "iii", "path_filestat_get": "iiiii",
    "path_filestat_set_times": "iiiiIIi", "path_link": "iiiiiii", "path_open": "iiiiiIIii",
    "path_readlink": "iiiiii", "path_remove_directory": "iii", "path_rename": "iiiiii",
    "path_symlink": "iiiii", "path_unlink_file": "iii", "poll_oneoff": "iiii",
    "proc_raise": "i", "random_get": "ii", "sock_accept": "iii", "sock_recv": "iiiiii",
    "sock_send": "iiiii", "sock_shutdown": "ii",
}  # fmt: skip
"""What is forwarded: preview 1's functions that answer an errno. i is i32, I is i64."""

CLOCK = "clock_time_get"
"""Guests call it too often for the way through Python."""

_CHECKED_CLOCK = f"""(func (export "checked") (param i32 i64 i32) (result i32)
    (if (i32.and (local.get 2) (i32.const 7)) (then (return (i32.const {Errno.ADDRNOTAVAIL:d}))))
    (if (i64.gt_u (i64.add (i64.extend_i32_u (local.get 2)) (i64.const 8))
                  (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16)))
        (then (return (i32.const {Errno.FAULT:d}))))
    (if (i32.gt_u (local.get 0) (i32.const 3)) (then (return (i32.const {Errno.INVAL:d}))))
    (call ${CLOCK} (local.get 0) (local.get 1) (local.get 2)))"""
"""What wasmtime checks too, but would end the guest for."""

_GATE = """(module
    (type $clock (func (param i32 i64 i32) (result i32)))
    (import "host" "first" (func $first (type $clock)))
    (table (export "table") 1 1 funcref) (elem (i32.const 0) $first)
    (func (export "call") (type $clock)
        (call_indirect (type $clock)
            (local.get 0) (local.get 1) (local.get 2) (i32.const 0))))"""
"""A function for a guest that has no memory yet: its first call comes to the host."""

_ERRNOS = {"not aligned": Errno.ADDRNOTAVAIL, "out of bounds": Errno.FAULT}
"""What wasmtime says of a bad pointer; the rest is about values."""


class Forwarder:
    """wasmtime's WASI functions by name, working on the guest's memory.

    ``settings`` are those of the store's engine.
    """

    def __init__(
        self,
        store: Store,
        settings: modules.EngineSettings,
        wasi: Linker,
        memory: Callable[[], Memory | None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._wasi = wasi
        self._memory = memory
        self._exports: InstanceExports | None = None
        self._calls: dict[str, ErrnoCall] = {}

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
            if self._exports is None:
                self._exports = self._link(memory)
            call = self._calls[name] = ErrnoCall(self._store, self._exports[name])
        try:
            return call(*arguments)
        except WasmtimeError as error:
            message = str(error)
            return next((errno for text, errno in _ERRNOS.items() if text in message), Errno.INVAL)

    def clock(self, define: Callable[[HostFunction], Func]) -> Func:
        """clock_time_get for the guest to import; ``define`` makes a wasm function of Python's.

        From the second call on it stays in wasm.
        """

        def first(*arguments: int) -> int:
            answer = self(CLOCK, arguments)
            if self._exports is not None:
                table.set(self._store, 0, self._exports["checked"])
            return answer

        with modules.load(self._store.engine, self._settings, _gate(), "the gate") as module:
            exports = Instance(self._store, module, [define(first)]).exports(self._store)
        table, call = exports["table"], exports["call"]
        assert isinstance(table, Table)
        assert isinstance(call, Func)
        return call

    def _link(self, memory: Memory) -> InstanceExports:
        wasm = _forwarder()
        with modules.load(self._store.engine, self._settings, wasm, "the forwarder") as module:
            functions = [self._wasi.get(self._store, WASI, name) for name in _PARAMS]
            instance = Instance(self._store, module, [memory, *functions])
        return instance.exports(self._store)


@cache
def _forwarder() -> bytes:
    imports, functions = [], []
    for name, params in _PARAMS.items():
        types = " ".join("i32" if each == "i" else "i64" for each in params)
        gets = " ".join(f"local.get {index}" for index in range(len(params)))
        imports.append(f'(import "wasi" "{name}" (func ${name} (param {types}) (result i32)))')
        functions.append(
            f'(func (export "{name}") (param {types}) (result i32) {gets} call ${name})'
        )
    return bytes(
        wat2wasm(f"""(module (import "guest" "memory" (memory 0)) {" ".join(imports)}
            (export "memory" (memory 0)) {" ".join(functions)} {_CHECKED_CLOCK})""")
    )


@cache
def _gate() -> bytes:
    return bytes(wat2wasm(_GATE))
