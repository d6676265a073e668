"""`wasmedge` takes every command line that WasmEdge takes, of its versions 0.9 to 0.17."""

import os
import subprocess
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from guests.wat import write_wat
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import wasmedge

from llamaedge_launcher.cli.wasmedge import execute

ENVIRON = """(module
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (drop (call $sizes (i32.const 0) (i32.const 12)))
        (drop (call $get (i32.const 1024) (i32.const 4096)))
        (i32.store (i32.const 8) (i32.const 4096))
        (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))))"""
"""Writes its environment."""

DIRECTORIES = """(module
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_create_directory"
        (func $mkdir (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (data (i32.const 0) "new")
    (func (export "_start")
        (if (call $get (i32.const 3) (i32.const 16)) (then (call $exit (i32.const 7))))
        (call $exit (i32.ne (call $mkdir (i32.const 3) (i32.const 0) (i32.const 3))
            (i32.const 0)))))"""
"""Exits with 7 without a directory, 1 if it cannot make one in it, 0 if it can."""

PASSES = '(module (func (export "_start")))'
FAILS = '(module (func (export "_start") unreachable))'

SWITCHES = (
    "allow-af-unix", "allow-command-all", "coredump-for-wasmgdb", "disable-bulk-memory",
    "disable-exception-handling", "disable-extended-const", "disable-function-reference",
    "disable-gc", "disable-import-export-mut-globals", "disable-memory64", "disable-multi-memory",
    "disable-multi-value", "disable-non-trap-float-to-int", "disable-reference-types",
    "disable-relaxed-simd", "disable-sign-extension-operators", "disable-simd",
    "disable-tail-call", "disable-threads", "enable-all", "enable-all-statistics",
    "enable-component", "enable-coredump", "enable-exception-handling", "enable-extended-const",
    "enable-function-reference", "enable-gas-measuring", "enable-gc", "enable-instruction-count",
    "enable-jit", "enable-multi-memory", "enable-relaxed-simd", "enable-tail-call",
    "enable-threads", "enable-time-measuring", "force-interpreter", "wasm-1", "wasm-2", "wasm-3",
)  # fmt: skip
"""Every option without a value of `wasmedge [run]` in those versions, but --reactor."""

VALUED = {
    "allow-command": "ls", "dir": ".", "env": "A=1", "forbidden-plugin": "wasi_nn",
    "gas-limit": "1000", "log-level": "error", "memory-page-limit": "10",
    "nn-preload": "m:GGML:AUTO:missing.gguf", "run-mode": "aot", "time-limit": "60000",
}  # fmt: skip

COMPILER = (
    "dump", "interruptible", "generic-binary", "enable-instruction-count", "enable-gas-measuring",
    "enable-time-measuring", "enable-all-statistics", "wasm-1", "wasm-2", "wasm-3",
    "disable-simd", "enable-threads", "enable-all", "enable-tail-call",
)  # fmt: skip


@pytest.fixture
def passes(tmp_path: Path) -> str:
    return write_wat(tmp_path, PASSES)


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch(passes: str, switch: str) -> None:
    assert execute([f"--{switch}", passes]) == 0
    assert execute(["run", f"--{switch}", f"--{switch}", passes]) == 0


@pytest.mark.parametrize("option", VALUED)
def test_every_option_with_a_value(passes: str, option: str) -> None:
    value = VALUED[option]
    assert execute([f"--{option}", value, passes]) == 0
    assert execute([f"--{option}={value}", f"--{option}", value, "run", passes]) == 0


@pytest.mark.parametrize("switch", COMPILER)
def test_every_switch_of_compile(passes: str, tmp_path: Path, switch: str) -> None:
    assert execute(["compile", f"--{switch}", passes, str(tmp_path / "out.wasm")]) == 0


@pytest.mark.parametrize(
    ("options", "entries"),
    [
        (["--env", "A=1", "--env=B=2=3"], b"A=1\0B=2=3\0"),
        (["--env", "Z"], b"Z\0"),
        (["--env", ""], b"\0"),
        (["--env", "=x"], b"=x\0"),
        (["--env", "A=1", "--env", "A=2"], b"A=1\0A=2\0"),
        (["--env", os.fsdecode(b"A=\xff")], b"A=\xff\0"),
    ],
)
def test_env_is_handed_on_as_it_is(tmp_path: Path, options: list[str], entries: bytes) -> None:
    done = subprocess.run(
        wasmedge(*options, write_wat(tmp_path, ENVIRON)),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == (entries, b"")


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        ("{}", 0, ""),
        (".:{}", 0, ""),
        (":{}", 0, ""),
        ("/x:{}:", 0, ""),
        ("/x:{}:readonly", 1, ""),
        (".:{}:foo", 0, "'foo' is no mode"),
        (".:{}:readonly:x", 0, "'readonly:x' is no mode"),
        (".:{}/missing", 7, "no such directory"),
        ("x:", 7, "names no directory"),
        (".:{}/file", 7, "no such directory"),
        (os.fsdecode(b"\xff:{}"), 7, "UTF-8"),
        ("", 7, "names no directory"),
    ],
)
def test_every_form_of_dir(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], form: str, code: int, message: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").touch()
    assert execute(["--dir", form.format(folder), write_wat(tmp_path, DIRECTORIES)]) == code
    err = capfd.readouterr().err
    assert message in err
    assert bool(message) == bool(err)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--log-level", "foo"], "--log-level foo"),
        (["--log-level="], "--log-level "),
        (["--run-mode", "foo"], "--run-mode foo"),
        (["--nn-preload", "foo"], "--nn-preload 'foo'"),
        (["--dir", "--env", "A=1"], "--dir has no value"),
        (["--gas-limit", "--time-limit", "60000"], "--gas-limit has no value"),
    ],
)
def test_what_wasmedge_makes_little_of_runs_with_a_warning(
    passes: str, capfd: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert execute([*options, passes]) == 0
    assert message in capfd.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--gas-limit=-1"], ["--gas-limit", " +1000"], ["--memory-page-limit=-1"],
        ["--memory-page-limit", "4294967295"], ["--time-limit", "18446744073709551615"],
        ["--run-mode", "JIT"], ["--log-level", "fatal", "--log-level", "info"],
    ],
)  # fmt: skip
def test_every_form_of_a_number_and_a_word(
    passes: str, capfd: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert execute([*options, passes]) == 0
    assert capfd.readouterr() == ("", "")


def test_a_subcommand_may_follow_options(
    passes: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fails = write_wat(tmp_path, FAILS, "fails.wasm")
    assert execute(["--log-level", "off", "run", fails]) == 134
    assert capfd.readouterr().err == ""
    assert execute(["--log-level", "off", "--", "run", "--log-level", "info", fails]) == 134
    assert "unreachable" in capfd.readouterr().err
    assert execute(["--disable-simd", "validate", passes]) == 0
    assert execute(["--enable-all", "compile", passes, str(tmp_path / "out.wasm")]) == 0
    assert execute(["run", "run"]) == 1
    assert "guest run" in capfd.readouterr().err
    assert execute(["--version", "run"]) == 0
    assert "version" in capfd.readouterr().out
    assert execute(["validate", "--help"]) == 0
    assert "valid module" in capfd.readouterr().out


SIMD = '(module (func (export "_start") (drop (v128.const i32x4 0 0 0 0))))'
SHARED = '(module (memory 1 1 shared) (func (export "_start")))'


@pytest.mark.parametrize(
    ("options", "text", "code"),
    [
        (["--wasm-1"], SIMD, 1),
        (["--wasm-1", "--wasm-2"], SIMD, 0),
        (["--wasm-1", "--enable-all"], SIMD, 0),
        (["--disable-simd", "--enable-all"], SIMD, 0),
        ([], SHARED, 1),
        (["--enable-threads"], SHARED, 0),
        (["--enable-all"], SHARED, 0),
        (["--enable-threads", "--disable-threads"], SHARED, 1),
    ],
)
def test_which_proposals_are_on(tmp_path: Path, options: list[str], text: str, code: int) -> None:
    assert execute([*options, write_wat(tmp_path, text)]) == code


WORDS = [
    *(f"--{each}" for each in (*SWITCHES, *VALUED, "reactor", "module", "optimize", "nonsense")),
    *(f"--{name}={value}" for name, value in VALUED.items()),
    "run", "compile", "parse", "validate", "instantiate", "GUEST", "f", "1", "-1", "nan", "a:b",
    "", "-", "--", "-v", "-h", "-x", "--=", "--dir=", "\udcff",
]  # fmt: skip


@settings(max_examples=150)
@given(st.lists(st.sampled_from(WORDS), max_size=8))
def test_any_words_end_with_a_code(words: list[str]) -> None:
    with TemporaryDirectory() as folder, chdir(folder):
        guest = write_wat(Path(folder), '(module (func (export "f") (param i32 v128)))')
        code = execute([guest if each == "GUEST" else each for each in words])
    assert code in (0, 1, 134)
