"""A WasmEdge guest: load, link, run, stop."""

import ctypes
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from wasmtime import (
    Func,
    FuncType,
    ImportType,
    Instance,
    Linker,
    Module,
    Store,
    Trap,
    WasiConfig,
    WasmtimeError,
)
from wasmtime import Memory as WasmMemory
from wasmtime._exportable import AsExtern

from . import modules
from .absent import absent
from .errors import GuestExit, HostError, LinkError
from .exports import call_export
from .files import Files
from .forward import CLOCK, WASI, Forwarder
from .hostcall import HostCalls
from .imports import HostFunction, Provider
from .memory import Memory
from .nn import NeuralNetwork
from .outcome import outcome
from .preopen import Preopen
from .preview1.errnos import Errno
from .sockets import HostNetwork, Network
from .values import Value, letters
from .wasi import Wasi

_log = logging.getLogger(__name__)
_PAGE = 65536  # bytes
_creation = threading.Lock()  # wasmtime-py's tables are not thread-safe

Output = Callable[[bytes], None]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Limits:
    """What a guest may use at most; None is no limit.

    ``memory_pages`` of 64 KiB each, ``time`` in seconds from run(), ``fuel`` in wasmtime's
    units (about one an instruction), ``sockets`` open at once.
    """

    memory_pages: int | None = None
    time: float | None = None
    fuel: int | None = None
    sockets: int = 1024


@dataclass(frozen=True)
class Activity:
    """What a guest does: ``calls`` of its host calls have returned, and it is in ``call``.

    ``call`` is a host function's name like wasi_ephemeral_nn.compute, None while it is in wasm;
    ``waits`` says that the call waits for a socket, a stream or a time.
    """

    calls: int
    call: str | None
    waits: bool


class Guest:
    """One instance of a guest module with its own memory, descriptors and wasi-nn handles.

    ``module`` is a path or the bytes of a module; ``args`` come after argv[0], the file's
    name. The environment is ``env`` alone, a mapping or entries like NAME=VALUE as they are.
    Both may hold any bytes, as os.fsdecode makes them. ``stdout`` and ``stderr`` are the
    process's own, or a function that is given each write; ``stdin`` is the process's own, a
    file, or closed.

    Raises HostError for a ``stdin`` or directory that cannot be opened, ModuleError for a file
    that is no valid module and LinkError for imports that cannot be linked (with
    ``strict_imports`` also for those that only trap when called).
    ``linked`` are further modules by name, whose exports the guest may import; they share the
    guest's WASI but have no sockets and no wasi-nn. ``providers`` are asked for imports first.
    """

    def __init__(
        self,
        module: str | os.PathLike[str] | bytes,
        *,
        args: Sequence[str] = (),
        env: Mapping[str, str] | Sequence[str] = (),
        dirs: Iterable[Preopen] = (),
        stdin: Path | None = None,
        stdout: Output | None = None,
        stderr: Output | None = None,
        network: Network | None = None,
        nn: NeuralNetwork | None = None,
        limits: Limits = Limits(),
        settings: modules.EngineSettings | None = None,
        linked: Mapping[str, Path] | None = None,
        providers: Sequence[Provider] = (),
        strict_imports: bool = False,
    ) -> None:
        self.name, wasm = _source(module)
        dirs = tuple(dirs)
        arguments = _strings([self.name, *args])
        environment = _strings(
            [f"{name}={value}" for name, value in env.items()] if isinstance(env, Mapping) else env
        )
        self._limits = limits
        self._stop_lock = threading.Lock()
        self._stop_reason: str | None = None
        self._closed = False
        settings = settings or modules.EngineSettings(fuel=limits.fuel is not None)
        self._engine = settings.engine()
        compiled = modules.load(self._engine, settings, wasm, self.name)
        with _creation:
            self._store = Store(self._engine)
            self._store.set_epoch_deadline(1)
            if limits.fuel is not None:
                self._store.set_fuel(limits.fuel)
            if limits.memory_pages is not None:
                self._store.set_limits(memory_size=limits.memory_pages * _PAGE)
            self._store.set_wasi(_wasi_config(arguments, environment, dirs, stdin, stdout, stderr))
            self._calls = HostCalls()
            self._own_wasi = Linker(self._engine)
            self._own_wasi.define_wasi()
        self._instance: Instance | None = None
        self._memory: WasmMemory | None = None
        memory = Memory(self._locate_memory)
        self._forward = Forwarder(self._store, settings, self._own_wasi, self._find_memory)
        self._wasi = Wasi(
            memory,
            self._forward,
            network or HostNetwork(),
            arguments=arguments,
            environment=environment,
            max_sockets=limits.sockets,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )
        self._providers: list[Provider] = [*providers, self._wasi]
        if nn is not None:
            words = [*args, *(env.values() if isinstance(env, Mapping) else env)]
            self._providers.append(nn.session(memory, Files(dirs, named=words), stdout))
        self._linked: dict[str, Instance] = {}
        try:
            for name, path in (linked or {}).items():
                other = modules.load(self._engine, settings, modules.read_wasm(path), str(path))
                self._linked[name] = self._instantiate(other, (), strict_imports)
            self._instance = self._instantiate(compiled, self._providers, strict_imports)
        except BaseException:
            self.close()
            raise

    def run(self) -> int:
        """Call the guest's ``_start`` and answer its exit code; blocks.

        Raises GuestTrap if it traps, GuestStopped if stop() or a limit ended it, and
        LinkError if it has no ``_start``.
        """
        try:
            self.call("_start")
        except GuestExit as exit_:
            return exit_.code
        return 0

    def call(self, name: str, *arguments: Value) -> Value | list[Value]:
        """Call the exported function ``name`` and answer its result, None or a list for many.

        v128 is an unsigned number, a null reference None; no other reference can be given.
        Raises what run() raises, GuestExit if the guest ends itself, and HostError for
        arguments that are not of the function's types.
        """
        if self._instance is None:
            raise HostError("the guest has no instance")
        function = self._instance.exports(self._store).get(name)
        if not isinstance(function, Func):
            raise LinkError(f"{self.name} exports no function {name!r}")
        timer = None
        if self._limits.time is not None:
            seconds = min(self._limits.time, threading.TIMEOUT_MAX)
            timer = threading.Timer(seconds, self.stop, ("time limit",))
            timer.daemon = True
            timer.start()
        try:
            results = self._guarded(lambda: call_export(self._store, function, arguments))
        finally:
            if timer is not None:
                timer.cancel()
        return results if len(results) > 1 else next(iter(results), None)

    def export_type(self, name: str) -> FuncType | None:
        """The type of the exported function ``name``, or None if there is none."""
        if self._instance is None:
            return None
        function = self._instance.exports(self._store).get(name)
        return function.type(self._store) if isinstance(function, Func) else None

    @property
    def activity(self) -> Activity:
        """What it does now. Any thread."""
        calls = self._calls
        return Activity(calls.returned, calls.present, self._wasi.waiting)

    @property
    def fuel_used(self) -> int | None:
        """Fuel used so far, where Limits.fuel is set."""
        if self._limits.fuel is None:
            return None
        return self._limits.fuel - int(self._store.get_fuel())

    def stop(self, reason: str = "stop") -> None:
        """End the guest wherever it is: in wasm, a poll or a computation. Any thread."""
        with self._stop_lock:
            if self._closed or self._stop_reason is not None:
                return
            self._stop_reason = reason
            self._engine.increment_epoch()
            for provider in self._providers:
                provider.interrupt()

    def close(self) -> None:
        """Close the guest's sockets and free its computations. run() must have returned."""
        with self._stop_lock:
            if self._closed:
                return
            self._closed = True
        for provider in self._providers:
            provider.close()
        with _creation:
            self._store.close()
            self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _instantiate(self, module: Module, providers: Sequence[Provider], strict: bool) -> Instance:
        try:
            imports = [self._import(each, providers, strict) for each in module.imports]
            return self._guarded(lambda: Instance(self._store, module, imports))
        finally:
            module.close()

    def _import(self, wanted: ImportType, providers: Sequence[Provider], strict: bool) -> AsExtern:
        type_ = wanted.type
        where = f"{wanted.module}.{wanted.name}"
        if wanted.module in self._linked:
            exports = self._linked[wanted.module].exports(self._store)
            found: AsExtern | None = exports.get(wanted.name or "")
            if found is None:
                raise LinkError(f"{self.name} imports {where}; the module has no such export")
            return found
        if not isinstance(type_, FuncType):
            raise LinkError(f"{self.name} imports {where}, which is no function; nothing has it")
        params, results = letters(type_.params), letters(type_.results)
        for provider in providers:
            function = provider.resolve(wanted.module, wanted.name or "", params, results)
            if function is not None:
                return self._calls.create(self._store, type_, function, provider.fault, where)
        if (wanted.module, wanted.name) == (WASI, "proc_exit") and (params, results) == ("i", ""):
            return self._calls.create(self._store, type_, _proc_exit, 0, where)
        own = self._own_wasi_function(wanted)
        if own is not None and providers and params:
            return self._forwarding(wanted.name or "", type_, where)
        if own is not None:
            return own
        problem = absent(self.name, wanted.module, wanted.name or "", params, results)
        if strict:
            raise problem
        _log.debug("%s; a call of it will trap", problem)
        return self._calls.create_trap(self._store, type_, problem)

    def _forwarding(self, name: str, type_: FuncType, where: str) -> Func:
        """wasmtime's ``name``, which answers an errno where it would end the guest."""

        def define(function: HostFunction) -> Func:
            return self._calls.create(self._store, type_, function, Errno.FAULT, where)

        if name == CLOCK:
            return self._forward.clock(define)
        return define(lambda *arguments: self._forward(name, arguments))

    def _own_wasi_function(self, wanted: ImportType) -> Func | None:
        if wanted.module != WASI:
            return None
        try:
            own = self._own_wasi.get(self._store, WASI, wanted.name or "")
        except WasmtimeError:
            return None
        same = isinstance(own, Func) and _signature(own.type(self._store)) == _signature(
            wanted.type
        )
        return own if same else None

    def _find_memory(self) -> WasmMemory | None:
        if self._memory is None:
            if self._instance is None:
                self._memory = self._calls.caller_memory()
            else:
                memory = self._instance.exports(self._store).get("memory")
                self._memory = memory if isinstance(memory, WasmMemory) else None
        return self._memory

    def _locate_memory(self) -> tuple[int, int]:
        memory = self._find_memory()
        if memory is None:
            return 0, 0
        address = ctypes.addressof(memory.data_ptr(self._store).contents)
        return address, memory.data_len(self._store)

    def _guarded(self, call: Callable[[], _T]) -> _T:
        """Run wasm; turn whatever ended it into this library's exceptions."""
        try:
            return call()
        except (Trap, WasmtimeError) as error:
            failure, self._calls.failure = self._calls.failure, None
            ended = outcome(error, failure, self._stop_reason)
            error.__traceback__ = None  # whose frames hold the error, which holds the module
        raise ended


def _proc_exit(code: int) -> None:
    raise GuestExit(code)


def _signature(type_: FuncType) -> tuple[str, str]:
    return letters(type_.params), letters(type_.results)


def _strings(texts: Sequence[str]) -> list[bytes]:
    for each in texts:
        if "\0" in each:
            raise HostError(f"an argument or environment entry has a NUL in it: {each!r}")
    return [os.fsencode(each) for each in texts]


def _source(module: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    if isinstance(module, bytes):
        modules.check_wasm(module, "the guest")
        return "guest.wasm", module
    path = Path(module)
    return path.name, modules.read_wasm(path)


def _wasi_config(
    arguments: Sequence[bytes],
    environment: Sequence[bytes],
    dirs: Iterable[Preopen],
    stdin: Path | None,
    stdout: Output | None,
    stderr: Output | None,
) -> WasiConfig:
    """wasmtime's own, which ``linked`` modules see too: as much of it as wasmtime takes."""
    config = WasiConfig()
    config.argv = [each.decode(errors="replace") for each in arguments]
    pairs = [each.decode(errors="replace").partition("=") for each in environment]
    config.env = [(name, value) for name, equals, value in pairs if name and equals]
    for each in dirs:
        where = f"--dir {each.guest}:{each.host}"
        try:
            config.preopen_dir(str(each.host), each.guest, not each.readonly)
        except WasmtimeError:
            raise HostError(f"{where}: no such directory") from None
        except UnicodeEncodeError:
            raise HostError(f"{where}: a path for a guest has to be UTF-8") from None
    if stdin is None:
        config.inherit_stdin()
    if stdout is None:
        config.inherit_stdout()
    else:
        config.stdout_custom = stdout
    if stderr is None:
        config.inherit_stderr()
    else:
        config.stderr_custom = stderr
    return config
