"""Each shell command of a document is run, or says why not."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from llamaedge_launcher import Server

from .fences import ROOT, Fence, documents, fences

ADDRESS = "127.0.0.1:8080"
"""Where the documents' server listens."""
ELSEWHERE = {"docs/api.md": "tests/launcher/test_api.py"}
"""Documents of which another test runs every command."""
ALL = [
    fence
    for path in documents()
    if str(path.relative_to(ROOT)) not in ELSEWHERE
    for fence in fences(path)
]
RUN = [fence for fence in ALL if fence.mark == "run"]
SERVES = [fence for fence in ALL if fence.mark == "serves"]
PARIS = "Paris is the capital of France.\n\nIt lies on the Seine.\n"
SHELL = """
set -euo pipefail
curl() { command curl --silent --show-error --fail-with-body "$@"; }
"""


def test_every_fence_says_whether_it_is_run() -> None:
    silent = [str(fence) for fence in ALL if not fence.mark]
    assert silent == [], "put <!-- run -->, <!-- serves --> or <!-- not run: WHY --> before it"
    assert RUN
    assert SERVES


@pytest.mark.parametrize("document", ELSEWHERE)
def test_another_test_reads_the_document(document: str) -> None:
    assert ROOT.joinpath(document).name in ROOT.joinpath(ELSEWHERE[document]).read_text()


@pytest.fixture(scope="module")
def folder(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the documents' commands are given in."""
    folder = tmp_path_factory.mktemp("documents")
    for name in ("model.gguf", "chat.gguf", "code.gguf"):
        folder.joinpath(name).symlink_to(smollm2)
    folder.joinpath("paris.txt").write_text(PARIS)
    folder.joinpath("docs").symlink_to(ROOT / "docs")
    return folder


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": programs, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub")}


@pytest.fixture(scope="module")
def address(folder: Path, minilm: Path) -> Iterator[str]:
    """A server as the documents have one, with the demo models."""
    options = ("--ctx-size", "1024", "--n-predict", "16", "--data-dir", str(folder / "data"))
    with Server(None, "--embeddings", "demo", *options) as server:
        yield server.base_url.removeprefix("http://").removesuffix("/v1")


@pytest.mark.parametrize("fence", RUN, ids=str)
def test_a_command_succeeds(
    fence: Fence, address: str, folder: Path, environment: dict[str, str]
) -> None:
    if "curl" in fence.text and shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    done = subprocess.run(
        ["bash", "-c", SHELL + fence.text.replace(ADDRESS, address)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("fence", SERVES, ids=str)
def test_a_server_serves(
    fence: Fence, folder: Path, environment: dict[str, str], free_port: int, minilm: Path
) -> None:
    """scripts/run is scripts/install and `llamaedge run`."""
    line = fence.text.replace("scripts/run", "llamaedge run").replace("\\\n", " ")
    assert line.startswith("llamaedge run")
    data = folder / str(free_port)
    with subprocess.Popen(
        ["bash", "-c", f"exec {line} --port {free_port} --data-dir {data}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 120
            while not healthy(free_port):
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < deadline, "it is not ready"
                time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 0, said
        finally:
            process.kill()


def healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False
