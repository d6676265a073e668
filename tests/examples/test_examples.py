"""The examples run."""

import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from llamaedge_launcher import Server

QUESTION = "Name the capital of France."
EXAMPLES = Path(__file__).parents[2] / "examples"


def test_run_guest(smollm2: Path) -> None:
    complete = runpy.run_path(str(EXAMPLES / "run_guest.py"))["complete"]
    assert "Paris" in complete(smollm2, "The capital of France is")


def test_private_server(smollm2: Path) -> None:
    ask = runpy.run_path(str(EXAMPLES / "private_server.py"))["ask"]
    assert len(ask(smollm2, QUESTION)) > 3


def test_server(smollm2: Path) -> None:
    ask = runpy.run_path(str(EXAMPLES / "server.py"))["ask"]
    assert len(ask(smollm2, QUESTION)) > 3


@pytest.fixture(scope="module")
def address(smollm2: Path) -> Iterator[str]:
    """The WebSocket address of a server that asks for the key ``k/y``."""
    options = ("--ctx-size", "1024", "--temp", "0", "--api-key", "k/y")
    with Server(smollm2, *options) as server:
        yield server.base_url.replace("http:", "ws:").removesuffix("/v1")


def test_websocket_client(address: str) -> None:
    ask = runpy.run_path(str(EXAMPLES / "websocket_client.py"))["ask"]
    assert "Paris" in "".join(ask(address, QUESTION, "k/y"))


def test_websocket_client_in_javascript(address: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node on this machine")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
    major = int(version.stdout.removeprefix("v").split(".")[0])
    if major < 20:
        pytest.skip(f"node {major} has no WebSocket")
    flags = ["--experimental-websocket"] if major < 22 else []
    script = str(EXAMPLES / "websocket_client.mjs")
    answer = subprocess.run(
        [node, *flags, script, address, QUESTION, "k/y"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "Paris" in answer.stdout


def test_extract(smollm2: Path) -> None:
    """A small model reads little right, but its answer has the fields, and within their bounds."""
    extract = runpy.run_path(str(EXAMPLES / "extract.py"))["extract"]
    with Server(smollm2, "--ctx-size", "1024") as server:
        client = OpenAI(base_url=server.base_url, api_key="none", timeout=90)
        person = extract(client, "Ada Lovelace was born in London in 1815.")
    assert "Ada" in person.name
    assert 0 <= person.year <= 2100


def test_ask_folder(smollm2: Path, minilm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    folder.joinpath("sea.md").write_text("# The sea\n\nWhales sing in the deep water.")
    folder.joinpath("bread.txt").write_text("Bread is baked of flour, water and yeast.")
    folder.joinpath("old.txt").write_text("Bakers of bread are paid little.")
    ask = runpy.run_path(str(EXAMPLES / "ask_folder.py"))["ask"]
    data = ("--data-dir", str(tmp_path / "data"))
    with Server(None, "--embeddings", "demo", "--ctx-size", "1024", *data) as server:
        client = OpenAI(base_url=server.base_url, api_key="none", timeout=90)
        answer, files = ask(client, folder, "Which animals sing?")
        assert answer
        assert files[0] == "sea.md"
        kept = {each.id for each in client.files.list() if each.filename != "old.txt"}
        folder.joinpath("old.txt").unlink()
        folder.joinpath("new.txt").write_text("At midnight the train leaves for Vienna.")
        _, files = ask(client, folder, "When does the train leave?")
        assert files[0] == "new.txt"
        assert "old.txt" not in files
        assert kept < {each.id for each in client.files.list()}
