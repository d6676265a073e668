"""`wasmedge`: each option's effect or acceptance, and the exit codes that scripts rely on."""

import logging
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from guests.wat import write_wat
from programs import wasmedge
from wasmtime import wat2wasm

from llamaedge_launcher.cli.wasmedge import execute
from llamaedge_launcher.cli.wasmedge_options import (
    ENABLED,
    PROPOSALS,
    STANDARDS,
    STATISTICS,
    WITHOUT_MEANING,
)

EXIT = '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))'
COUNT = '(import "wasi_snapshot_preview1" "%s" (func $count (param i32 i32) (result i32)))'
SPIN = '(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))'
SAY_AND_SPIN = """(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\\08\\00\\00\\00\\01\\00\\00\\00!")
    (func (export "_start")
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
        (loop $l (br $l))))"""
LINE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] \[(\w+)\] (.*)")

Build = Callable[[str], str]


@pytest.fixture
def guest(tmp_path: Path) -> Build:
    """Writes a module in the text format to a file and answers its path."""

    return partial(write_wat, tmp_path)


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def exits(code: int | str) -> str:
    value = code if isinstance(code, str) else f"(i32.const {code})"
    return f"""(module {EXIT} (memory (export "memory") 1)
        (func (export "_start") (call $exit {value})))"""


def counts(what: str) -> str:
    """A guest that exits with the count that a WASI *_sizes_get answers."""
    return f"""(module {COUNT % what} {EXIT} (memory (export "memory") 1)
        (func (export "_start") (drop (call $count (i32.const 0) (i32.const 4)))
            (call $exit (i32.load (i32.const 0)))))"""


@pytest.mark.parametrize(
    ("code", "expected"), [(0, 0), (1, 1), (7, 7), (134, 134), (255, 255), (256, 0), (-1, 255)]
)
def test_the_exit_code_is_the_guests_modulo_256(guest: Build, code: int, expected: int) -> None:
    assert execute([guest(exits(code))]) == expected


def test_everything_after_the_module_is_the_guests(guest: Build) -> None:
    path = guest(counts("args_sizes_get"))
    assert execute([path]) == 1
    assert execute([path, "--dir", "x", "-h", "--", "--env=A=1"]) == 6
    assert execute(["run", "--", path, "a"]) == 2


@pytest.mark.parametrize("options", [["--env", "A=1", "--env=B=2=3"], ["--env=A=1", "--env", "B="]])
def test_env_is_all_the_environment(guest: Build, options: list[str]) -> None:
    assert execute([*options, guest(counts("environ_sizes_get"))]) == 2
    assert execute([guest(counts("environ_sizes_get"))]) == 0


def test_dir_gives_directories(
    guest: Build, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prestat = (
        '(import "wasi_snapshot_preview1" "fd_prestat_get" (func $p (param i32 i32) (result i32)))'
    )
    last = f"""(module {prestat} {EXIT} (memory (export "memory") 1)
        (func (export "_start") (local $fd i32) (local.set $fd (i32.const 3))
            (loop $next (if (i32.eqz (call $p (local.get $fd) (i32.const 0)))
                (then (local.set $fd (i32.add (local.get $fd) (i32.const 1))) (br $next))))
            (call $exit (i32.sub (local.get $fd) (i32.const 3)))))"""
    path = guest(last)
    assert execute(["--dir", str(tmp_path), f"--dir=/x:{tmp_path}:readonly", path]) == 2
    assert execute(["--dir", f".:{tmp_path}/missing", path]) == 0
    assert "no such directory" in capfd.readouterr().err


READONLY = """(module
    (import "wasi_snapshot_preview1" "path_create_directory"
        (func $mkdir (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (data (i32.const 0) "new")
    (func (export "_start")
        (call $exit (call $mkdir (i32.const 3) (i32.const 0) (i32.const 3)))))"""


def test_a_readonly_directory_cannot_be_written(guest: Build, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = guest(READONLY)
    assert execute(["--dir", f"/x:{folder}:readonly", path]) in (63, 69, 76)
    assert not list(folder.iterdir())
    assert execute(["--dir", f"/x:{folder}", path]) == 0
    assert [each.name for each in folder.iterdir()] == ["new"]


def test_a_trap_is_134_and_names_trap_function_and_stack(
    guest: Build, capfd: pytest.CaptureFixture[str]
) -> None:
    path = guest('(module (func $deep unreachable) (func (export "_start") (call $deep)))')
    assert execute([path]) == 134
    out, err = capfd.readouterr()
    assert out == ""
    lines = [LINE.fullmatch(line) for line in err.splitlines()]
    assert all(lines)
    texts = [line[2] for line in lines if line]
    assert "unreachable" in texts[0]
    assert texts[1].startswith("    in deep at 0x")
    assert len(texts) == 3


@pytest.mark.parametrize(
    ("options", "reason"),
    [(["--time-limit", "200"], "time limit"), (["--gas-limit", "100000"], "gas limit")],
)
def test_limits_stop_a_guest_that_spins(
    guest: Build, capfd: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    assert execute([*options, guest(SPIN)]) == 134
    assert reason in capfd.readouterr().err


def test_no_time_limit_is_zero(guest: Build) -> None:
    assert execute(["--time-limit", "0", guest(exits(3))]) == 3


def test_the_memory_page_limit_refuses_growth(guest: Build) -> None:
    grow = exits("(memory.grow (i32.const 9))")
    assert execute(["--memory-page-limit", "10", guest(grow)]) == 1
    assert execute(["--memory-page-limit", "9", guest(grow)]) == 255


def test_module_links_a_further_module(
    guest: Build, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.wasm"
    other.write_bytes(bytes(wat2wasm('(module (func (export "f") (result i32) (i32.const 9)))')))
    path = guest(f"""(module (import "other" "f" (func $f (result i32))) {EXIT}
        (func (export "_start") (call $exit (call $f))))""")
    assert execute(["--module", f"other:{other}", path]) == 9
    for wrong in ("other", f"other:{tmp_path}/missing.wasm", f"other:{__file__}"):
        assert execute(["--module", wrong, path]) == 1
    assert execute([path]) == 1
    assert "other.f" in capfd.readouterr().err


def test_allow_af_unix(guest: Build) -> None:
    path = guest(f"""(module
        (import "wasi_snapshot_preview1" "sock_open" (func $o (param i32 i32 i32) (result i32)))
        {EXIT} (memory (export "memory") 1)
        (func (export "_start")
            (call $exit (call $o (i32.const 3) (i32.const 2) (i32.const 0)))))""")
    assert execute([path]) == 52
    assert execute(["--allow-af-unix", path]) == 0


def test_a_forbidden_plugin_is_not_there(guest: Build, capfd: pytest.CaptureFixture[str]) -> None:
    path = guest(f"""(module
        (import "wasi_ephemeral_nn" "compute" (func $c (param i32) (result i32))) {EXIT}
        (memory (export "memory") 1)
        (func (export "_start") (call $exit (call $c (i32.const 0)))))""")
    assert execute([path]) == 1
    assert execute(["--forbidden-plugin", "wasi_nn", path]) == 1
    assert "wasi_ephemeral_nn.compute" in capfd.readouterr().err


@pytest.mark.parametrize(
    "preload", ["default", "default:GGML", "default:FOO:AUTO:x", "default:GGML:XPU:x"]
)
def test_a_wrong_preload_is_logged_and_its_name_unknown(
    guest: Build, capfd: pytest.CaptureFixture[str], preload: str
) -> None:
    path = guest(f"""(module
        (import "wasi_ephemeral_nn" "load_by_name" (func $l (param i32 i32 i32) (result i32)))
        {EXIT} (memory (export "memory") 1) (data (i32.const 0) "default")
        (func (export "_start")
            (call $exit (call $l (i32.const 0) (i32.const 7) (i32.const 16)))))""")
    assert execute(["--nn-preload", preload, path]) == 8
    assert "--nn-preload" in capfd.readouterr().err


@pytest.mark.parametrize("option", sorted(WITHOUT_MEANING))
def test_what_has_no_meaning_is_accepted_and_says_so(
    guest: Build, capfd: pytest.CaptureFixture[str], option: str
) -> None:
    assert execute(["--log-level", "debug", option, guest(exits(4))]) == 4
    assert f"{option} has no effect here" in capfd.readouterr().err
    assert execute([option, guest(exits(4))]) == 4
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("mode", ["interpreter", "jit", "aot", "lazyjit"])
def test_run_modes_are_accepted(guest: Build, mode: str) -> None:
    assert execute(["--run-mode", mode, guest(exits(4))]) == 4


NEEDS = {
    "--disable-multi-value": "(func (result i32 i32) (i32.const 1) (i32.const 2))",
    "--disable-bulk-memory": "(func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))",
    "--disable-reference-types": "(func (param externref))",
    "--disable-simd": "(func (drop (v128.const i32x4 0 0 0 0)))",
    "--disable-tail-call": "(func $f (return_call $f))",
    "--disable-function-reference": "(type $t (func)) (func (param (ref null $t)))",
    "--disable-gc": "(type $s (struct)) (func (param (ref null $s)))",
    "--disable-multi-memory": "(memory 1)",
    "--disable-relaxed-simd": """(func (param v128) (result v128)
        (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))""",
    "--disable-exception-handling": "(tag $e) (func (throw $e))",
    "--disable-memory64": "(table i64 1 funcref)",
    "--disable-threads": "(func (drop (i32.atomic.load (i32.const 0))))",
}


@pytest.mark.parametrize("option", sorted(PROPOSALS))
def test_a_proposal_can_be_turned_off(guest: Build, option: str) -> None:
    path = guest(
        f'(module {EXIT} (memory (export "memory") 1) {NEEDS[option]}'
        f'(func (export "_start") (call $exit (i32.const 6))))'
    )
    assert execute([path]) == 6
    assert execute([option, path]) == 1


@pytest.mark.parametrize(("option", "allowed"), [("--wasm-1", 1), ("--wasm-2", 6), ("--wasm-3", 6)])
def test_a_version_of_the_standard_limits_the_proposals(
    guest: Build, option: str, allowed: int
) -> None:
    assert option in STANDARDS
    path = guest(
        f'(module {EXIT} (memory (export "memory") 1) {NEEDS["--disable-simd"]}'
        f'(func (export "_start") (call $exit (i32.const 6))))'
    )
    assert execute([option, path]) == allowed


@pytest.mark.parametrize("option", sorted(ENABLED))
def test_a_proposal_can_be_turned_on(guest: Build, option: str) -> None:
    assert execute([option, guest(exits(4))]) == 4


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--enable-instruction-count", ["instructions count: "]),
        ("--enable-gas-measuring", ["Gas costs: "]),
        ("--enable-time-measuring", ["execution time: "]),
        ("--enable-all-statistics", ["instructions count: ", "Gas costs: ", "time: ", "second: "]),
    ],
)
def test_statistics_are_printed_when_asked_for(
    guest: Build, capfd: pytest.CaptureFixture[str], option: str, words: list[str]
) -> None:
    assert option in STATISTICS
    assert execute([option, guest(exits(4))]) == 4
    err = capfd.readouterr().err
    for word in words:
        found = re.search(re.escape(word) + r"(\d+)", err)
        assert found, word
        assert int(found[1]) > 0


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("off", 0),
        ("fatal", 0),
        ("critical", 0),
        ("error", 1),
        ("warning", 1),
        ("warn", 1),
        ("info", 1),
        ("trace", 1),
    ],
)
def test_the_log_level(
    guest: Build, capfd: pytest.CaptureFixture[str], level: str, shown: int
) -> None:
    path = guest('(module (func (export "_start") unreachable))')
    assert execute(["--log-level", level, path]) == 134
    assert ("unreachable" in capfd.readouterr().err) == bool(shown)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "WASM"),
        (["--env"], "--env"),
        (["--nonsense", "x.wasm"], "--nonsense"),
        (["--time-limit", "soon", "x.wasm"], "soon"),
        (["--gas-limit", "4294967296", "x.wasm"], "4294967296"),
        (["--memory-page-limit", "1_0", "x.wasm"], "1_0"),
        (["--time-limit=-1", "x.wasm"], "-1"),
        (["--time-limit", "99999999999999999999", "x.wasm"], "99999999999999999999"),
        (["--module", "other", "x.wasm"], "name:path"),
        (["--nn-rpc-uri", "unix:///run/nn.sock", "x.wasm"], "--nn-preload"),
        (["compile", "x.wasm"], "OUT"),
        (["missing.wasm"], "missing.wasm"),
        ([__file__], "not a WebAssembly module"),
    ],
)
def test_usage_and_load_errors_are_one_line_and_1(
    capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert execute(arguments) == 1
    err = capfd.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1


def test_help_and_version(capfd: pytest.CaptureFixture[str]) -> None:
    for option in ("-h", "--help"):
        assert execute([option]) == 0
        assert "--nn-preload" in capfd.readouterr().out
    for option in ("-v", "--version"):
        assert execute([option]) == 0
        assert re.match(r"wasmedge version \d+\.\d+\.\d+.* \(.*wasmtime ", capfd.readouterr().out)


def test_compile_writes_a_portable_module(guest: Build, tmp_path: Path) -> None:
    source, out = guest(exits(8)), tmp_path / "out.wasm"
    assert execute(["compile", "--optimize", "3", "--dump", source, str(out)]) == 0
    assert out.read_bytes() == Path(source).read_bytes()
    assert execute([str(out)]) == 8
    assert execute(["compile", source, str(tmp_path / "missing" / "out.wasm")]) == 1


def test_compile_writes_through_what_is_no_plain_file(guest: Build, tmp_path: Path) -> None:
    source = guest(exits(8))
    target, link = tmp_path / "target.wasm", tmp_path / "link.wasm"
    target.touch()
    link.symlink_to(target)
    assert execute(["compile", source, str(link)]) == 0
    assert link.is_symlink()
    assert target.read_bytes() == Path(source).read_bytes()
    assert target.stat().st_mode & 0o777 == Path(source).stat().st_mode & 0o777
    assert execute(["compile", source, os.devnull]) == 0
    assert Path(os.devnull).is_char_device()


def test_parse_validate_and_instantiate_report(
    guest: Build, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = guest(exits(8))
    assert execute(["parse", good]) == 0
    out = capfd.readouterr().out
    assert "import wasi_snapshot_preview1.proc_exit (i32) -> ()" in out
    assert "export _start () -> ()" in out
    assert execute(["validate", good]) == 0
    assert execute(["instantiate", good]) == 0
    unlinked = guest('(module (import "a" "b" (func)))')
    assert execute(["validate", unlinked]) == 0
    capfd.readouterr()
    assert execute(["instantiate", unlinked]) == 1
    assert "a.b" in capfd.readouterr().err
    other = write_wat(tmp_path, '(module (func (export "b")))', "other.wasm")
    assert execute(["instantiate", "--dir", ".", "--module", f"a:{other}", unlinked]) == 0
    assert execute(["instantiate", "--module", f"a:{other}", "--memory-page-limit=1", good]) == 0
    Path(unlinked).write_bytes(b"\0asm\x01\0\0\0\x01\xff")
    for each in ("parse", "validate", "instantiate"):
        assert execute([each, unlinked]) == 1


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_by_signal(guest: Build, which: signal.Signals) -> None:
    process = start([guest(SAY_AND_SPIN)])
    assert process.stdout and process.stdout.read(1) == b"!"
    process.send_signal(which)
    assert process.wait(timeout=10) == -which
    assert process.communicate() == (b"", b"")


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_closed_streams_do_no_harm(guest: Build, closed: str) -> None:
    number = {"stdin": 0, "stdout": 1, "stderr": 2}[closed]
    process = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" "$@" {number}>&-', *wasmedge(guest(exits(5)))],
        check=False,
        timeout=60,
    )
    assert process.returncode == 5


def start(arguments: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        wasmedge(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ,
    )
