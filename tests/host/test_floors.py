"""Imports run downwards: ggml's rooms lie on floors, no module of the host imports in a circle."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import llamaedge_host

Name = tuple[str, ...]

HOST = Path(llamaedge_host.__file__).parent
ROOT = Path(__file__).parents[2]
ROOMS = ("errors", "keeping", "metadata", "llama", "chat", "sampling", "media", "engine")
FLAT = (
    *("prompt", "outputs", "context", "properties"),
    *("ranking", "suited", "graph", "backend", "__init__"),
)
GGML = (*ROOMS, *FLAT)
"""The rooms of ggml, the ground first."""
SHARED = {"errors", "imports", "memory", "preview1", "waker"}
MAY_IMPORT = {
    "preview1": {"errors", "memory"},
    "sockets": SHARED,
    "wasi": {*SHARED, "sockets"},
}
"""The rooms of WASI, and what else of the host they may import."""
LONGEST = 400
"""Lines of a module."""


def test_ggml_imports_downwards() -> None:
    assert list(climbing(modules(HOST / "ggml"), GGML)) == []


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_of_wasi_imports_its_own_floors_alone(room: str) -> None:
    imports = {name: others for name, others in modules(HOST).items() if name[0] == room}
    assert len(imports) > 3
    strange = {
        ".".join(imported)
        for others in imports.values()
        for imported in others
        if imported[0] not in {room, *MAY_IMPORT[room]}
    }
    assert strange == set()


def test_the_host_imports_in_no_circle() -> None:
    try:
        TopologicalSorter(modules(HOST)).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(".".join(name) for name in error.args[1]))


def test_no_module_is_too_long_to_read() -> None:
    folders = ("host", "*.py"), ("launcher", "*.py"), ("wasm", "*.py"), ("wasm", "*.go")
    sources = [
        path
        for folder, kind in folders
        for path in (ROOT / folder).rglob(kind)
        if not path.stem.endswith("_test")
    ]
    assert len(sources) > 100
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_an_import_is_seen_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    for name, source in {
        "ground.py": "if TYPE_CHECKING:\n    from .room.upper import Thing\n",
        "room/__init__.py": "",
        "room/upper.py": "def f():\n    from .. import ground\n    from . import lower\n",
        "room/lower.py": "import json\nfrom ..ground import *\n",
    }.items():
        (tmp_path / name).write_text(source)
    found = modules(tmp_path)
    assert found == {
        ("ground",): {("room", "upper")},
        ("room", "__init__"): set(),
        ("room", "upper"): {("ground",), ("room", "lower")},
        ("room", "lower"): {("ground",)},
    }
    assert list(climbing(found, ("ground", "room"))) == ["ground -> room.upper"]
    with pytest.raises(CycleError):
        TopologicalSorter(found).prepare()


def climbing(imports: dict[Name, set[Name]], floors: tuple[str, ...]) -> Iterator[str]:
    """The ``imports`` that run upwards, as ``importer -> imported``."""
    for importer, others in imports.items():
        for imported in sorted(others):
            if floors.index(imported[0]) > floors.index(importer[0]):
                yield f"{'.'.join(importer)} -> {'.'.join(imported)}"


def modules(package: Path) -> dict[Name, set[Name]]:
    """Each module of ``package``, and those of the package that it imports anywhere in it."""
    paths = {
        path.relative_to(package).with_suffix("").parts: path for path in package.rglob("*.py")
    }
    return {name: set(_imports(name, path, paths)) for name, path in sorted(paths.items())}


def _imports(name: Name, path: Path, paths: dict[Name, Path]) -> Iterator[Name]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not 0 < node.level <= len(name):
            continue
        room = name[: len(name) - node.level]
        base = (*room, *(node.module.split(".") if node.module else ()))
        inner = {(*base, alias.name) for alias in node.names} & paths.keys()
        if base in paths:
            yield base
        elif len(inner) < len(node.names):
            yield (*base, "__init__")
        yield from inner
