"""Modules: read, checked, compiled once.

Compiled code is kept in the user's cache, under a name made of the module's own sha256,
wasmtime's version and the engine's settings, and loaded from nowhere else.
"""

import ctypes
import hashlib
import logging
import threading
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import wasmtime
from wasmtime import Config, Engine, Module, WasmtimeError
from wasmtime import _ffi as ffi

from .errors import ModuleError
from .first_bytes import described
from .module_cache import ModuleCache, user_cache

_log = logging.getLogger(__name__)
_compiling = threading.Lock()
_SLOW = 1_000_000  # bytes of a module that takes a second or more to compile
_MAGIC = b"\0asm"
_MODULE_VERSION = b"\x01\0\0\0"
_COMPONENT_LAYER = b"\x01\0"
_ADVICE = {
    b"\x7fELF": "; give the .wasm file that it was compiled from",
    b"GGUF": "; models are given with --nn-preload",
}


@dataclass(frozen=True)
class EngineSettings:
    """What changes the machine code of a module.

    ``proposals`` are names of wasmtime's Config ("wasm_simd", ...) with their setting.
    """

    fuel: bool = False
    proposals: tuple[tuple[str, bool], ...] = field(default=())

    def engine(self) -> Engine:
        """A new engine. It has one guest, so that its epoch interrupts that guest alone."""
        config = Config()
        ffi.wasmtime_config_wasm_component_model_async_set(config.ptr(), False)
        config.epoch_interruption = True
        config.consume_fuel = self.fuel
        config.memory_may_move = False
        for name, enabled in self.proposals:
            setattr(config, name, enabled)
        return Engine(config)


def read_wasm(path: Path) -> bytes:
    """The bytes of the module at ``path``; raises ModuleError if it is none."""
    try:
        wasm = path.read_bytes()
    except OSError as error:
        raise ModuleError(f"cannot read the guest {path}: {error.strerror}") from None
    check_wasm(wasm, str(path))
    return wasm


def check_wasm(wasm: bytes, name: str) -> None:
    """Raise ModuleError unless ``wasm`` begins as a module of WebAssembly version 1."""
    if not wasm.startswith(_MAGIC):
        what = described(wasm) + _ADVICE.get(wasm[:4], "")
        raise ModuleError(f"{name} is not a WebAssembly module: {what}")
    if len(wasm) < len(_MAGIC + _MODULE_VERSION):
        raise ModuleError(f"{name} is not a WebAssembly module: it is cut off within its header")
    if wasm[4:8] != _MODULE_VERSION:
        what = "a component" if wasm[6:8] == _COMPONENT_LAYER else f"of version {wasm[4:8].hex()}"
        raise ModuleError(f"{name} is {what}; this host runs WebAssembly modules of version 1")


def load(engine: Engine, settings: EngineSettings, wasm: bytes, name: str) -> Module:
    """The compiled module of ``wasm`` for ``engine``, from the cache where it is there.

    Guests that start together wait for the one that compiles. Raises ModuleError, which calls the
    module ``name``, if it does not validate.
    """
    cached = user_cache()
    if cached is None:
        module = _compile(engine, wasm, name)
        _trim()
        return module
    key = _key(settings, wasm)
    path = cached.find(key)
    if path is not None and (module := _deserialize(engine, path)) is not None:
        return module
    with _compiling:
        path = cached.find(key) if path is None else None
        if path is not None and (module := _deserialize(engine, path)) is not None:
            return module
        module = _stored(cached, key, engine, _compile(engine, wasm, name))
        _trim()
        return module


def _stored(cached: ModuleCache, key: str, engine: Engine, compiled: Module) -> Module:
    """``compiled`` as the cache has it, whose pages processes share, if it could be stored."""
    cached.store(key, compiled.serialize())
    path = cached.find(key)
    module = _deserialize(engine, path) if path is not None else None
    if module is None:
        return compiled
    compiled.close()
    return module


def _trim() -> None:
    """Give the system back what compiling took; glibc would keep 130 MB of a server's guest."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))


def _deserialize(engine: Engine, path: Path) -> Module | None:
    try:
        return Module.deserialize_file(engine, str(path))
    except WasmtimeError as error:
        if path.exists():
            _log.warning("compiling again, the cached %s does not load: %s", path.name, error)
        return None


def _compile(engine: Engine, wasm: bytes, name: str) -> Module:
    if len(wasm) > _SLOW:
        _log.info("compiling %s for this machine, this once", name)
    try:
        return Module(engine, wasm)
    except WasmtimeError as error:
        reason = " ".join(str(error).split())
        raise ModuleError(f"{name} is not a valid WebAssembly module: {reason}") from None


def _key(settings: EngineSettings, wasm: bytes) -> str:
    host = f"{_wasmtime()} {sorted(asdict(settings).items())}"
    return f"{hashlib.sha256(wasm).hexdigest()}-{hashlib.sha256(host.encode()).hexdigest()[:16]}"


@cache
def _wasmtime() -> str:
    """The version, by the name of what pip left beside it: importlib.metadata takes 40 ms."""
    installed = Path(str(wasmtime.__file__)).parents[1].glob("wasmtime-*.dist-info")
    if (found := next(installed, None)) is not None:
        return found.name.removeprefix("wasmtime-").removesuffix(".dist-info")
    from importlib.metadata import version

    return version("wasmtime")
