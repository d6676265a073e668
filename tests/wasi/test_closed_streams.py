"""A guest of the `wasmedge` command whose standard streams are closed."""

import subprocess
from pathlib import Path

import pytest
from programs import wasmedge
from wasmtime import wat2wasm

from llamaedge_host.preview1.errnos import Errno

MODULE = "wasi_snapshot_preview1"


def guest(call: str, fd: int) -> bytes:
    """Exits with the errno of an fd_read or fd_write of ``fd``."""
    return bytes(
        wat2wasm(f"""(module
        (import "{MODULE}" "{call}" (func $call (param i32 i32 i32 i32) (result i32)))
        (import "{MODULE}" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (data (i32.const 4) "\\10")
        (func (export "_start") (call $exit
          (call $call (i32.const {fd}) (i32.const 0) (i32.const 1) (i32.const 64)))))""")
    )


@pytest.mark.parametrize(
    ("closed", "call", "fd"),
    [
        ("<&-", "fd_read", 0),
        (">&-", "fd_write", 1),
        ("2>&-", "fd_write", 2),
        ("<&- >&- 2>&-", "fd_read", 0),
        ("<&- >&- 2>&-", "fd_write", 1),
        ("<&- >&- 2>&-", "fd_write", 2),
    ],
)
def test_a_closed_stream_is_a_bad_descriptor(
    tmp_path: Path, closed: str, call: str, fd: int
) -> None:
    wasm = tmp_path / "guest.wasm"
    wasm.write_bytes(guest(call, fd))
    command = wasmedge(str(wasm))
    done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command], timeout=60)
    assert done.returncode == Errno.BADF
