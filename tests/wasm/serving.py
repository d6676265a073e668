"""Servers of the bundled guest under `wasmedge`."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from programs import wasmedge

START = 120  # seconds, with the guest's compilation


def command(guest: Path, model: Path, *arguments: str) -> list[str]:
    """`wasmedge` with the guest, and the model preloaded as ``default``."""
    return wasmedge("--nn-preload", f"default:GGML:AUTO:{model}", str(guest), *arguments)


@contextmanager
def serving(guest: Path, model: Path, port: int, *arguments: str) -> Iterator[str]:
    """The address of a server that listens on ``port``."""
    given = command(guest, model, "--socket-addr", f"127.0.0.1:{port}", *arguments)
    with subprocess.Popen(given, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            for line in process.stdout:
                if line == f"[INFO] LlamaEdge HTTP listening on {port}\n":
                    break
            else:
                pytest.fail(f"the server ended with {process.wait()}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
