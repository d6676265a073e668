"""Guests of one's own in Go and Rust."""

import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest

from llamaedge_host import Guest, NeuralNetwork, Preload

from ..guests import golang

EXAMPLES = Path(__file__).parents[2] / "examples"
TARGETS = "wasm32-wasip1", "wasm32-wasi"
"""Preview 1 of WASI, as Rust calls it, and as it called it before its version 1.78."""
MOST = 24  # tokens, which is in both sources
COMPILERS = "rustc", str(Path.home() / ".cargo" / "bin" / "rustc"), "/usr/bin/rustc"
"""Those that there may be; Debian's is the last, and has the target as a package."""


def said(guest: Path, model: Path) -> str:
    """What ``guest`` says after a text, in a few pieces."""
    written: list[bytes] = []
    nn = NeuralNetwork([Preload.parse(f"default:GGML:AUTO:{model}")])
    try:
        arguments = ["The capital", "of France is"]
        with Guest(guest, args=arguments, nn=nn, stdout=written.append) as running:
            assert running.run() == 0
    finally:
        nn.close()
    assert len(written) <= MOST
    return b"".join(written).decode()


def test_a_guest_in_go(smollm2: Path, tmp_path: Path) -> None:
    guest = tmp_path / "guest.wasm"
    golang.build(EXAMPLES / "guest_go", "", guest)
    assert "Paris" in said(guest, smollm2)


def test_a_guest_in_rust(smollm2: Path, tmp_path: Path) -> None:
    compilers = list(dict.fromkeys(filter(None, map(shutil.which, COMPILERS))))
    if not compilers:
        pytest.skip("there is no rustc on this machine")
    source = str(EXAMPLES / "guest_rust" / "src" / "main.rs")
    able = next(filter(lambda pair: can_build(*pair), product(compilers, TARGETS)), None)
    if able is None:
        check = [compilers[0], "--edition=2021", "--emit=metadata", "-D", "warnings", source]
        subprocess.run(check, cwd=tmp_path, check=True)
        pytest.skip(f"checked, not run: no rustc has {TARGETS[0]} (rustup target add {TARGETS[0]})")
    rustc, target = able
    guest = tmp_path / "guest.wasm"
    build = [rustc, "--edition=2021", "-O", "-D", "warnings", "--target", target]
    subprocess.run([*build, "-o", str(guest), source], check=True)
    assert "Paris" in said(guest, smollm2)


def can_build(rustc: str, target: str) -> bool:
    """Whether ``rustc`` is there with the standard library of ``target``."""
    library = subprocess.run(
        [rustc, "--print", "target-libdir", "--target", target], capture_output=True, text=True
    )
    return library.returncode == 0 and Path(library.stdout.strip()).is_dir()
