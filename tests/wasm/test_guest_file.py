from pathlib import Path
from types import ModuleType

import pytest
import wasmtime

from llamaedge_host import Guest

MOST_BYTES = 8_000_000
WASI = {
    "args_get": "ii",
    "args_sizes_get": "ii",
    "clock_time_get": "iIi",
    "environ_get": "ii",
    "environ_sizes_get": "ii",
    "fd_close": "i",
    "fd_fdstat_get": "ii",
    "fd_fdstat_set_flags": "ii",
    "fd_filestat_get": "ii",
    "fd_prestat_dir_name": "iii",
    "fd_prestat_get": "ii",
    "fd_read": "iiii",
    "fd_readdir": "iiiIi",
    "fd_write": "iiii",
    "path_filestat_get": "iiiii",
    "path_open": "iiiiiIIii",
    "path_readlink": "iiiiii",
    "path_remove_directory": "iii",
    "path_unlink_file": "iii",
    "poll_oneoff": "iiii",
    "proc_exit": "i",
    "random_get": "ii",
    "sched_yield": "",
    "sock_accept": "iii",
    "sock_bind": "iii",
    "sock_listen": "ii",
    "sock_open": "iii",
    "sock_setsockopt": "iiiii",
    "sock_shutdown": "ii",
}
"""WASI functions that WasmEdge has, with their parameters: i for i32, I for i64."""
WASI_NN = {
    "compute": "i",
    "compute_single": "i",
    "fini_single": "i",
    "get_output": "iiiii",
    "get_output_single": "iiiii",
    "init_execution_context": "ii",
    "load_by_name_with_config": "iiiii",
    "set_input": "iii",
}
KNOWN = {"wasi_snapshot_preview1": WASI, "wasi_ephemeral_nn": WASI_NN}


def test_imports_are_those_of_wasmedge(guest: Path) -> None:
    module = wasmtime.Module.from_file(wasmtime.Engine(), str(guest))
    for wanted in module.imports:
        kind = wanted.type
        assert isinstance(kind, wasmtime.FuncType)
        params = "".join({"i32": "i", "i64": "I"}[str(param)] for param in kind.params)
        results = [str(result) for result in kind.results]
        assert KNOWN[wanted.module].get(wanted.name or "") == params, wanted.name
        assert results == ([] if wanted.name == "proc_exit" else ["i32"]), wanted.name


def test_its_version_is_the_distributions(hook: ModuleType, source: Path, guest: Path) -> None:
    printed: list[bytes] = []
    with Guest(guest, args=["-V"], stdout=printed.append) as instance:
        assert instance.run() == 0
    version = hook.project_version(source.parent)
    assert b"".join(printed).decode() == f"llama-api-server {version}\n"


def test_it_is_small(guest: Path) -> None:
    assert guest.stat().st_size < MOST_BYTES


def test_two_builds_are_the_same_bytes(
    hook: ModuleType, source: Path, guest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "elsewhere"
    for file in [*source.rglob("*.go"), source / "go.mod"]:
        target = copy / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    monkeypatch.setenv("GOFLAGS", "-tags=other")
    monkeypatch.setenv("GOOS", "linux")
    hook.compile_guest(copy, tmp_path / "again.wasm", hook.project_version(source.parent))
    assert (tmp_path / "again.wasm").read_bytes() == guest.read_bytes()


def test_a_compiler_error_is_told(hook: ModuleType, tmp_path: Path) -> None:
    source = tmp_path / "broken"
    source.mkdir()
    (source / "go.mod").write_text("module broken\n\ngo 1.27\n")
    (source / "main.go").write_text("package main\n\nfunc main() { nowhere() }\n")
    with pytest.raises(RuntimeError, match="undefined: nowhere"):
        hook.compile_guest(source, tmp_path / "out.wasm", "1.2.3")
    assert not (tmp_path / "out.wasm").exists()
