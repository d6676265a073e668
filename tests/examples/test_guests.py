"""Guests of one's own in Go and Rust."""

import shutil
import subprocess
from pathlib import Path

import pytest

from llamaedge_host import Guest, NeuralNetwork, Preload

from ..guests import golang

EXAMPLES = Path(__file__).parents[2] / "examples"
TARGET = "wasm32-wasip1"


def said(guest: Path, model: Path) -> str:
    """What ``guest`` says after a text."""
    written: list[bytes] = []
    nn = NeuralNetwork([Preload.parse(f"default:GGML:AUTO:{model}")])
    try:
        arguments = ["The capital", "of France is"]
        with Guest(guest, args=arguments, nn=nn, stdout=written.append) as running:
            assert running.run() == 0
    finally:
        nn.close()
    return b"".join(written).decode()


def test_a_guest_in_go(smollm2: Path, tmp_path: Path) -> None:
    guest = tmp_path / "guest.wasm"
    golang.build(EXAMPLES / "guest_go", "", guest)
    assert "Paris" in said(guest, smollm2)


def test_a_guest_in_rust(smollm2: Path, tmp_path: Path) -> None:
    rustc = shutil.which("rustc") or str(Path.home() / ".cargo" / "bin" / "rustc")
    if not Path(rustc).exists():
        pytest.skip("there is no rustc on this machine")
    source = str(EXAMPLES / "guest_rust" / "src" / "main.rs")
    library = subprocess.run(
        [rustc, "--print", "target-libdir", "--target", TARGET], capture_output=True, text=True
    )
    if not Path(library.stdout.strip()).is_dir():
        check = [rustc, "--edition=2021", "--emit=metadata", "-D", "warnings", source]
        subprocess.run(check, cwd=tmp_path, check=True)
        pytest.skip(f"checked, not run: rustc has no {TARGET} here (rustup target add {TARGET})")
    guest = tmp_path / "guest.wasm"
    build = [rustc, "--edition=2021", "-O", "--target", TARGET, "-o", str(guest), source]
    subprocess.run(build, check=True)
    assert "Paris" in said(guest, smollm2)
