"""Which llama.cpp is taken where a wheel has one inside."""

import logging
import sys
from pathlib import Path

import pytest

from llamaedge_host import bundled


def bindings(folder: Path, version: str) -> Path:
    information = folder / f"llama_cpp_python-{version}.dist-info"
    information.mkdir(parents=True)
    information.joinpath("METADATA").write_text(f"Name: llama_cpp_python\nVersion: {version}\n")
    return folder


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Python's search path, on which nothing is."""
    monkeypatch.setattr(sys, "path", [])
    return sys.path


def test_without_one_nothing_changes(path: list[str], tmp_path: Path) -> None:
    bundled.offer(tmp_path / "absent")
    assert path == []


def test_the_one_inside_serves(path: list[str], tmp_path: Path) -> None:
    bundled.offer(bindings(tmp_path, "1.2"))
    assert path == [str(tmp_path)]


def test_an_installed_one_of_its_version_goes_before(path: list[str], tmp_path: Path) -> None:
    path.append(str(bindings(tmp_path / "installed", "1.2")))
    bundled.offer(bindings(tmp_path / "inside", "1.2"))
    assert path == [str(tmp_path / "installed"), str(tmp_path / "inside")]


def test_an_installed_one_of_another_version_is_passed_over(
    path: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.append(str(bindings(tmp_path / "installed", "1.1")))
    with caplog.at_level(logging.WARNING):
        bundled.offer(bindings(tmp_path / "inside", "1.2"))
    assert path == [str(tmp_path / "inside"), str(tmp_path / "installed")]
    assert caplog.messages == [
        "llama-cpp-python 1.1 is installed, and this needs 1.2, which it has inside and takes;"
        " pip install llama-cpp-python==1.2 to take the installed one"
    ]
