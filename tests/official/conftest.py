"""LlamaEdge's and WasmEdge's prebuilt guests, unchanged, on this host.

They are not part of this project: LLAMAEDGE_OFFICIAL_GUESTS names a folder that holds them.
"""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from programs import wasmedge

VARIABLE = "LLAMAEDGE_OFFICIAL_GUESTS"


@dataclass(frozen=True)
class Result:
    """How a guest ended, and what it and the host wrote."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture(scope="session")
def guests() -> Path:
    """The folder of official guests; skips where there is none."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} names no folder with official guests")
    return Path(folder)


@pytest.fixture
def run(guests: Path, smollm2: Path, tmp_path: Path) -> Run:
    """Runs an official guest under `wasmedge` with the demo model preloaded as ``default``."""

    def run(
        guest: str,
        *arguments: str,
        env: Sequence[str] = (),
        preload: str = "default:GGML:AUTO:{model}",
        stdin: str = "",
        options: Sequence[str] = (),
        timeout: float = 120,
    ) -> Result:
        given = ["--dir", f".:{tmp_path}", "--nn-preload", preload.format(model=smollm2)]
        for each in env:
            given += ["--env", each]
        done = subprocess.run(
            wasmedge(*given, *options, str(guests / guest), *arguments),
            input=stdin.encode(),
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode())

    return run
