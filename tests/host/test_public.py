"""What the package offers by name is all that a program needs to run a guest."""

import inspect
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from importlib.metadata import version

import pytest

import llamaedge_host
import llamaedge_launcher

PUBLIC = {name: getattr(llamaedge_host, name) for name in llamaedge_host.__all__}
CLASSES = [each for each in PUBLIC.values() if inspect.isclass(each)]
METHODS = [each for name, each in vars(llamaedge_host.Guest).items() if not name.startswith("_")]


def test_what_a_program_makes_and_calls_takes_public_types() -> None:
    functions = [*(each.__init__ for each in CLASSES), *filter(callable, METHODS)]
    used = {one for each in functions for one in _own_types(each)}
    assert llamaedge_host.Network in used
    missing = {f"{one.__module__}.{one.__name__}" for one in used if one not in PUBLIC.values()}
    assert missing == set()


def test_the_version_is_the_distributions() -> None:
    assert llamaedge_host.__version__ == version("llamaedge-host")
    assert llamaedge_launcher.__version__ == version("llamaedge-host")


def test_every_name_is_there_and_listed() -> None:
    names: dict[str, object] = {}
    exec("from llamaedge_host import *", names)
    assert {*llamaedge_host.__all__} <= names.keys()
    listed = [name for names in llamaedge_host._PLACES.values() for name in names.split()]
    assert sorted(listed) == llamaedge_host.__all__


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("llamaedge_launcher.cli.run", "wasmtime numpy llama_cpp uvicorn"),
        ("llamaedge_launcher.serve", "wasmtime numpy llama_cpp llguidance semantic_text_splitter"),
        ("llamaedge_launcher.sizing", "llguidance starlette uvicorn"),
        ("llamaedge_launcher.worker", "llama_cpp numpy importlib.metadata"),
        ("llamaedge_host", "wasmtime llama_cpp"),
    ],
)
def test_a_process_imports_only_what_it_needs(module: str, without: str) -> None:
    done = run(f"import {module}, sys; print(sorted({{*sys.modules}} & {{*{without.split()}}}))")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_windows_is_refused_in_one_sentence() -> None:
    done = run("import sys; sys.platform = 'win32'; import llamaedge_host")
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("ImportError: llamaedge_host needs Linux")


def test_a_system_without_linuxs_own_socket_flags_serves() -> None:
    """As macOS is."""
    done = run("""
import socket
del socket.MSG_NOSIGNAL, socket.SO_BINDTODEVICE
import sys
from wasmtime import wat2wasm
sys.platform = "darwin"
from llamaedge_host import Guest
from llamaedge_host.sockets.address import HOST_UNIX_PATH_SIZE
with Guest(bytes(wat2wasm('(module (func (export "f") (result i32) (i32.const 0)))'))) as guest:
    sys.exit(guest.call("f") + HOST_UNIX_PATH_SIZE)
""")
    assert (done.returncode, done.stderr) == (104, "")


def _own_types(function: Callable[..., object]) -> Iterator[type]:
    for hint in typing.get_type_hints(function).values():
        yield from _own(hint)


def _own(hint: object) -> Iterator[type]:
    """The package's own types in a type."""
    for inner in typing.get_args(hint):
        yield from _own(inner)
    for inner in hint if isinstance(hint, list) else ():
        yield from _own(inner)
    if inspect.isclass(hint) and hint.__module__.startswith("llamaedge_host"):
        yield hint
