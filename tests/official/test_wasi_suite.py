"""WebAssembly's wasi-testsuite, preview 1: every test passes under `wasmedge`.

It is not part of this project: LLAMAEDGE_WASI_TESTSUITE names a checkout of its branch
prod/testsuite-base. Its doc/specification.md says what a test's JSON file means.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from programs import wasmedge

VARIABLE = "LLAMAEDGE_WASI_TESTSUITE"
PREVIEW1 = "tests/*/testsuite/wasm32-wasip1/*.wasm"
FEWEST = 72


def cases() -> list[Path]:
    folder = os.environ.get(VARIABLE)
    return sorted(Path(folder).glob(PREVIEW1)) if folder else []


@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no checkout")
def test_all_of_it_is_there() -> None:
    assert len(cases()) >= FEWEST


@pytest.mark.parametrize("wasm", cases(), ids=lambda path: path.stem)
def test_wasi(wasm: Path, tmp_path: Path) -> None:
    specification = wasm.with_suffix(".json")
    told = json.loads(specification.read_text()) if specification.exists() else {}
    options = ["--log-level=warning"]
    options += [f"--env={name}={value}" for name, value in told.get("env", {}).items()]
    if told.get("root"):
        shutil.copytree(wasm.parent / told["root"], tmp_path / "root", symlinks=True)
        options.append(f"--dir=/:{tmp_path / 'root'}")
    done = subprocess.run(
        wasmedge(*options, str(wasm), *told.get("args", [])),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == told.get("exit_code", 0), done.stderr
    for stream in ("stdout", "stderr"):
        assert getattr(done, stream) == told.get(stream, getattr(done, stream))
