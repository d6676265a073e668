"""A folder to give command lines in, and what they lead to."""

import sys
from pathlib import Path

import pytest

from llamaedge_launcher.cli.plan import Plan
from llamaedge_launcher.cli.run import run
from llamaedge_launcher.errors import LauncherError

from ...models import speech, tiny
from ..planning import Planned, stopping_at_plans

LLAMAEDGE = str(Path(sys.executable).with_name("llamaedge"))
WASM = b"\0asm\1\0\0\0"
GOOD = "--nn-preload default:GGML:AUTO:model.gguf -p chatml"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a projector."""
    folder = tmp_path_factory.mktemp("models")
    tiny.llama(folder / "model.gguf")
    tiny.llama(folder / "odd.gguf", template="odd")
    tiny.bert(folder / "bert.gguf")
    tiny.projector(folder / "eye.gguf")
    speech.vocoder(folder / "voice.gguf")
    return folder


@pytest.fixture
def folder(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with models, a page, a guest and an empty file in it."""
    for name in ("model.gguf", "part-00001-of-00002.gguf"):
        tmp_path.joinpath(name).hardlink_to(models / "model.gguf")
    for name in ("eye.gguf", "odd.gguf", "bert.gguf", "voice.gguf"):
        tmp_path.joinpath(name).hardlink_to(models / name)
    tmp_path.joinpath("own.jinja").write_text("{{ messages }}")
    for name, content in {
        "page.gguf": b"<!doctype html>",
        "empty.gguf": b"",
        "guest.wasm": WASM,
    }.items():
        tmp_path.joinpath(name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def planned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """The plan that a command line leads to."""

    def plan_of(arguments: str) -> Plan:
        plans = stopping_at_plans(monkeypatch)
        with pytest.raises(LauncherError, match="planned"):
            run.main(arguments.split(), standalone_mode=False)
        return plans[0]

    return plan_of
