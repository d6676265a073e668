"""schemathesis on the whole server: no answer is a 500, none breaks /openapi.json.

Requests are made up from the description, as it says and not as it says, and sent to the front with
the bundled guest and small models behind it. LLAMAEDGE_EXAMPLES says how many for a route.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..models import tiny
from .running import running

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
CONFIG = str(Path(__file__).with_name("schemathesis.toml"))
EXAMPLES = os.environ.get("LLAMAEDGE_EXAMPLES", "4")
KEY = "a-key"
SECOND_NAMES = r"^/(chat/completions|embeddings|responses|models|audio|rerank|reranking)(/|$)"
"""Paths whose application is asked by its name below /v1."""


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two models and short answers."""
    folder = tmp_path_factory.mktemp("models")
    chat = tiny.llama(folder / "chat.gguf", brief=True)
    embedding = tiny.bert(folder / "embedding.gguf")
    return [
        "--nn-preload", f"default:GGML:AUTO:{chat}",
        "--nn-preload", f"embedding:GGML:AUTO:{embedding}",
        "--prompt-template", "chatml,embedding", "--model-name", "chat,embedding",
        "--ctx-size", "512,512", "--n-predict", "8", "--log-level", "error",
    ]  # fmt: skip


def made_up(url: str, folder: Path, *options: str, phases: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            SCHEMATHESIS, "--config-file", CONFIG, "run", f"{url}/openapi.json",
            "--phases", phases, "--mode", "all", "--max-examples", EXAMPLES,
            "--seed", "1", "--continue-on-failure", "--no-shrink", "--request-timeout", "60",
            "--warnings", "off", "--exclude-path-regex", SECOND_NAMES, *options,
        ],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No hub is asked, and no model of the user's is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
        yield


@pytest.mark.timeout(3600)
def test_an_open_server_answers_as_it_says(options: list[str], tmp_path: Path) -> None:
    with running(tmp_path, *options) as server:
        done = made_up(server.wait_ready(), tmp_path, phases="coverage,fuzzing")
        assert done.returncode == 0, done.stdout
        assert server.process.poll() is None
    assert "Traceback" not in server.terminal.read_text(), server.terminal.read_text()


@pytest.mark.timeout(3600)
def test_a_server_with_a_key_answers_as_it_says(options: list[str], tmp_path: Path) -> None:
    with running(tmp_path, *options, "--api-key", KEY) as server:
        url = server.wait_ready()
        known = made_up(url, tmp_path, "--header", f"Authorization: Bearer {KEY}", phases="fuzzing")
        assert known.returncode == 0, known.stdout
        assert server.process.poll() is None
