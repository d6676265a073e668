"""The examples run."""

import runpy
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_run_guest(smollm2: Path) -> None:
    complete = runpy.run_path(str(EXAMPLES / "run_guest.py"))["complete"]
    assert "Paris" in complete(smollm2, "The capital of France is")


def test_private_server(smollm2: Path) -> None:
    ask = runpy.run_path(str(EXAMPLES / "private_server.py"))["ask"]
    assert len(ask(smollm2, "What is the capital of France?")) > 3


def test_server(smollm2: Path) -> None:
    ask = runpy.run_path(str(EXAMPLES / "server.py"))["ask"]
    assert len(ask(smollm2, "What is the capital of France?")) > 3
