"""A hub of our own, and a cache for what comes from it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from llamaedge_launcher import cli, machine
from llamaedge_launcher.models import download

from ...models import tiny
from .hub import Hub, Repo, running

REPO = "acme/tiny-GGUF"
MODEL = "tiny-Q4_K_M.gguf"
Run = Callable[[str], int]


@pytest.fixture(scope="session")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A model's file, of some hundred kilobytes."""
    return tiny.llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf").read_bytes()


@pytest.fixture(scope="session")
def eye(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A projector's file."""
    return tiny.projector(tmp_path_factory.mktemp("tiny") / "eye.gguf").read_bytes()


@pytest.fixture(scope="session")
def server() -> Iterator[Hub]:
    with running() as hub:
        yield hub


@pytest.fixture
def hub(server: Hub, gguf: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub that huggingface-hub asks, with one model; the cache is empty and no token set."""
    fresh = Hub(server.url, {REPO: Repo({"README.md": b"# tiny", MODEL: gguf})})
    vars(server).update(vars(fresh))
    for name, value in {
        "ENDPOINT": server.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_TOKEN_PATH": str(tmp_path / "token"),
        "HF_HUB_DOWNLOAD_TIMEOUT": 60,
        "HF_HUB_ETAG_TIMEOUT": 60,
    }.items():
        monkeypatch.setattr(constants, name, value)
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("LLAMAEDGE_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setattr(download, "WAITS", (0.01, 0.02))
    computer = machine.Machine("", (), 8, 32 * 10**9, 32 * 10**9)
    monkeypatch.setattr(machine, "look", lambda: computer)
    yield server


@pytest.fixture
def run() -> Run:
    """`llamaedge` with a command line; answers its exit code."""
    return lambda arguments: cli.execute(arguments.split())
