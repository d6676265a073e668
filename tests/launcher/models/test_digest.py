"""The SHA-256 of models' files."""

import hashlib
from pathlib import Path

import pytest

from llamaedge_launcher.fleet.recipe import version
from llamaedge_launcher.models import digest as module
from llamaedge_launcher.models.digest import digest


def test_a_file_is_read_once_for_as_long_as_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"one")
    first = version(file)
    assert digest(file, first) == hashlib.sha256(b"one").hexdigest()
    file.write_bytes(b"other")
    assert digest(file, version(file)) == hashlib.sha256(b"other").hexdigest()
    monkeypatch.setattr(module.hashlib, "file_digest", None)
    assert digest(file, first) == hashlib.sha256(b"one").hexdigest()


def test_the_name_of_a_hubs_file_is_its_digest(tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / ("5a" * 32)
    blob.parent.mkdir()
    blob.write_bytes(b"GGUF")
    link = tmp_path / "model.gguf"
    link.symlink_to(blob)
    assert digest(link, "1") == "5a" * 32


def test_what_cannot_be_read_has_none(tmp_path: Path) -> None:
    assert digest(tmp_path / "none.gguf", "") == ""
