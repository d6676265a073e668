"""Compiled modules and their cache on disk.

Compiled code is native code: loading it means running it unsandboxed. So it is only ever
loaded from a folder that nobody else can write, under a name made of the module's own
sha256, wasmtime's version and the engine's settings. Files are written aside and renamed,
never changed in place, because a running guest maps them.
"""

import hashlib
import logging
import os
import stat
import tempfile
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path

import platformdirs
from wasmtime import Config, Engine, Module, WasmtimeError
from wasmtime import _ffi as ffi

from .errors import ModuleError

_log = logging.getLogger(__name__)
_SLOW = 1_000_000  # bytes of a module that takes a second or more to compile
_MAGIC = b"\0asm"
_MODULE_VERSION = b"\x01\0\0\0"
_COMPONENT_LAYER = b"\x01\0"


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


def cache_folder() -> Path | None:
    """The folder of compiled modules, or None if it cannot be trusted or made.

    ``LLAMAEDGE_CACHE_DIR`` names another; by default it is in the user's cache folder.
    """
    root = os.environ.get("LLAMAEDGE_CACHE_DIR") or platformdirs.user_cache_path("llamaedge")
    folder = Path(root) / "modules"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        _log.warning("no cache of compiled modules: %s", error)
        return None
    if hasattr(os, "getuid") and (
        status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ):
        _log.warning("no cache of compiled modules: others can write to %s", folder)
        return None
    return folder


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
        raise ModuleError(f"{name} is not a WebAssembly module: it begins with {wasm[:4]!r}")
    if wasm[4:8] != _MODULE_VERSION:
        what = "a component" if wasm[6:8] == _COMPONENT_LAYER else f"of version {wasm[4:8].hex()}"
        raise ModuleError(f"{name} is {what}; this host runs WebAssembly modules of version 1")


def load(engine: Engine, settings: EngineSettings, wasm: bytes, name: str) -> Module:
    """The compiled module of ``wasm`` for ``engine``, from the cache where it is there.

    Raises ModuleError, which calls the module ``name``, if it does not validate.
    """
    folder = cache_folder()
    path = folder / _key(settings, wasm) if folder else None
    if path is not None and path.is_file():
        try:
            return Module.deserialize_file(engine, str(path))
        except WasmtimeError as error:
            _log.warning("compiling again, the cached %s does not load: %s", path.name, error)
    if len(wasm) > _SLOW:
        _log.info("compiling %s for this machine, this once", name)
    try:
        module = Module(engine, wasm)
    except WasmtimeError as error:
        reason = " ".join(str(error).split())
        raise ModuleError(f"{name} is not a valid WebAssembly module: {reason}") from None
    if path is not None:
        _store(path, module)
    return module


def _key(settings: EngineSettings, wasm: bytes) -> str:
    host = f"{_wasmtime()} {sorted(asdict(settings).items())}"
    return f"{hashlib.sha256(wasm).hexdigest()}-{hashlib.sha256(host.encode()).hexdigest()[:16]}"


@cache
def _wasmtime() -> str:
    return version("wasmtime")


def _store(path: Path, module: Module) -> None:
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(module.serialize())
        Path(file.name).replace(path)
    except OSError as error:
        _log.warning("the compiled module is not cached: %s", error)
