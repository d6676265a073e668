"""Guest: linking by type, memory, ends and limits."""

import threading
import time
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from llamaedge_host import (
    Guest,
    GuestStopped,
    GuestTrap,
    Limits,
    LinkError,
    ModuleError,
    Preopen,
)
from llamaedge_host.errors import HostError
from llamaedge_host.modules import EngineSettings

IMPORTS = """
(import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
"""
HELLO = """
(memory (export "memory") 1)
(data (i32.const 0) "\\64\\00\\00\\00\\06\\00\\00\\00")
(data (i32.const 100) "hello\\n")
"""
WRITE = "(call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 52))"
SPIN = '(func (export "_start") (loop $again (br $again)))'


def wasm(body: str, imports: str = IMPORTS) -> bytes:
    return bytes(wat2wasm(f"(module {imports} {HELLO} {body})"))


def start(code: str) -> bytes:
    return wasm(f'(func (export "_start") {code})')


def run(module: bytes, **options: object) -> int:
    with Guest(module, **options) as guest:  # type: ignore[arg-type]
        return guest.run()


def test_stdout_goes_where_it_is_sent() -> None:
    written: list[bytes] = []
    assert run(start(f"(drop {WRITE})"), stdout=written.append) == 0
    assert written == [b"hello\n"]


def test_a_start_section_may_call_the_host() -> None:
    written: list[bytes] = []
    module = wasm(f'(func $init (drop {WRITE})) (start $init) (func (export "_start"))')
    assert run(module, stdout=written.append) == 0
    assert written == [b"hello\n"]


@pytest.mark.parametrize("code", [0, 1, 125, 126, 134, 255, 256, 0xFFFFFFFF])
def test_the_exit_code_is_the_guests_own(code: int) -> None:
    assert run(start(f"(call $exit (i32.const {code}))")) == code


@pytest.mark.parametrize(
    ("call", "errno"),
    [
        ("(call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0xfffffff0))", 21),
        ("(call $fd_write (i32.const 1) (i32.const 0xfffffff0) (i32.const 1) (i32.const 52))", 21),
        ("(call $fd_write (i32.const 99) (i32.const 0) (i32.const 1) (i32.const 52))", 8),
        ("(call $fd_seek (i32.const 99) (i64.const 5) (i32.const 0) (i32.const 8))", 8),
        ("(call $args_get (i32.const 0xfffffff0) (i32.const 0))", 21),
        ("(call $args_get (i32.const 3) (i32.const 0))", 4),
    ],
)
def test_bad_arguments_answer_an_errno(call: str, errno: int) -> None:
    assert run(start(f"(call $exit {call})")) == errno


def test_arguments_environment_and_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    imports = """
        (import "wasi_snapshot_preview1" "args_sizes_get"
            (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get"
            (func $env (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
            (func $dir (param i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    """
    body = """(func (export "_start")
        (drop (call $args (i32.const 200) (i32.const 204)))
        (drop (call $env (i32.const 208) (i32.const 212)))
        (if (call $dir (i32.const 3) (i32.const 300) (i32.const 5))
            (then (call $exit (i32.const 99))))
        (call $exit (i32.add (i32.mul (i32.const 10) (i32.load (i32.const 200)))
                             (i32.load (i32.const 208)))))"""
    code = run(
        wasm(body, imports),
        args=["a", "b"],
        env={"X": "1"},
        dirs=[Preopen(tmp_path, "/data")],
    )
    assert code == 31


def test_a_trap_names_itself_and_its_stack() -> None:
    module = wasm('(func $inner unreachable) (func (export "_start") (call $inner))')
    with pytest.raises(GuestTrap, match="unreachable") as caught:
        run(module)
    assert caught.value.code == "unreachable"
    assert caught.value.frames[0].startswith("inner at ")


def test_an_unknown_import_traps_when_called_and_says_which() -> None:
    imports = '(import "env" "missing" (func $missing (param i64) (result f64 f64)))'
    body = '(func (export "_start") (call $missing (i64.const 1)) drop drop)'
    with Guest(wasm(body, imports)) as guest, pytest.raises(LinkError, match=r"env\.missing"):
        guest.run()
    with pytest.raises(LinkError, match=r"env\.missing"):
        Guest(wasm(body, imports), strict_imports=True)
    assert run(wasm('(func (export "_start"))', imports)) == 0


@pytest.mark.parametrize(
    ("module", "plugin"),
    [
        ("wasmedge_process", "wasmedge_process"),
        ("wasmedge_ffmpeg_avcodec", "wasmedge_ffmpeg"),
        ("wasi_ephemeral_crypto_symmetric", "wasi_crypto"),
        ("rustls_client", "wasmedge_rustls"),
    ],
)
def test_an_unknown_import_says_whose_plugin_has_it(module: str, plugin: str) -> None:
    with pytest.raises(LinkError, match=rf"{module}\.f .*WasmEdge's plugin {plugin};"):
        Guest(wasm("", f'(import "{module}" "f" (func))'), strict_imports=True)


def test_one_name_may_be_imported_with_two_types() -> None:
    imports = """
        (import "wasi_snapshot_preview1" "sock_accept" (func $v1 (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "sock_accept" (func $v2 (param i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    """
    body = """(func (export "_start") (call $exit (i32.add
        (i32.mul (i32.const 100) (call $v1 (i32.const 70000) (i32.const 0)))
        (call $v2 (i32.const 70000) (i32.const 0) (i32.const 0)))))"""
    assert run(wasm(body, imports)) == 808


def test_a_linked_module_provides_imports(tmp_path: Path) -> None:
    path = tmp_path / "math.wasm"
    path.write_bytes(bytes(wat2wasm('(module (func (export "seven") (result i32) (i32.const 7)))')))
    imports = IMPORTS + '(import "math" "seven" (func $seven (result i32)))'
    module = wasm('(func (export "_start") (call $exit (call $seven)))', imports)
    assert run(module, linked={"math": path}) == 7


def test_stop_ends_a_spinning_guest() -> None:
    with Guest(wasm(SPIN)) as guest:
        timer = threading.Timer(0.1, guest.stop)
        timer.start()
        with pytest.raises(GuestStopped, match="stop"):
            guest.run()
        timer.join()


def test_stop_before_run_is_not_lost() -> None:
    with Guest(wasm(SPIN)) as guest:
        guest.stop("early")
        with pytest.raises(GuestStopped, match="early"):
            guest.run()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(Limits(time=0.2), "time limit"), (Limits(fuel=1_000_000), "gas limit")],
)
def test_limits_end_a_spinning_guest(limits: Limits, reason: str) -> None:
    with pytest.raises(GuestStopped, match=reason):
        run(wasm(SPIN), limits=limits)


def test_the_memory_limit_refuses_growth() -> None:
    grow = """(loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
              (call $exit (memory.size))"""
    assert run(start(grow), limits=Limits(memory_pages=50)) == 50


def test_guests_run_side_by_side() -> None:
    module = start(f"(loop $again (drop {WRITE}) (br $again))")
    counts = [0, 0, 0]

    def counter(index: int) -> object:
        def count(_data: bytes) -> None:
            counts[index] += 1

        return count

    guests = [Guest(module, stdout=counter(each)) for each in range(3)]  # type: ignore[arg-type]
    threads = [threading.Thread(target=_run_until_stopped, args=(guest,)) for guest in guests]
    for each in threads:
        each.start()
    deadline = time.monotonic() + 20
    while min(counts) < 100 and time.monotonic() < deadline:
        time.sleep(0.01)
    for guest in guests:
        guest.stop()
    for each in threads:
        each.join()
    assert min(counts) >= 100
    for guest in guests:
        guest.close()


def _run_until_stopped(guest: Guest) -> None:
    with pytest.raises(GuestStopped):
        guest.run()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a WebAssembly module: it is empty"),
        (b"\x7fELF\x02\x01\x01\0", r"it is machine code \(ELF\); give the \.wasm file"),
        (b"GGUF1234", "it is a GGUF model; models are given with --nn-preload"),
        (b"\0asm\x01\0", "it is cut off within its header"),
        (b"\0asm\x0d\0\x01\0", "component"),
        (b"\0asm\x02\0\0\0", "version"),
        (b"\0asm\x01\0\0\0\xff\xff", "not a valid WebAssembly module"),
    ],
)
def test_what_is_no_module_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "guest.wasm"
    path.write_bytes(content)
    with pytest.raises(ModuleError, match=message) as caught:
        Guest(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_or_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModuleError, match=r"missing\.wasm"):
        Guest(tmp_path / "missing.wasm")
    with pytest.raises(HostError, match="no such directory"):
        Guest(wasm(SPIN), dirs=[Preopen(tmp_path / "missing", "/")])
    with pytest.raises(HostError, match="UTF-8"):
        Guest(wasm(SPIN), dirs=[Preopen(tmp_path, "\udcff")])


def test_proposals_can_be_turned_off() -> None:
    body = '(func (export "_start") (drop (v128.const i32x4 0 0 0 0)))'
    settings = EngineSettings(proposals=(("wasm_relaxed_simd", False), ("wasm_simd", False)))
    assert run(wasm(body)) == 0
    with pytest.raises(ModuleError):
        Guest(wasm(body), settings=settings)
