"""The chat templates that llama-cpp-python's source package carries, fetched from the index."""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import llama_cpp
import pytest

COUNT = 70
_FOLDER = "/models/templates/"


def templates(cache: pytest.Cache) -> dict[str, str]:
    """The templates by name; skips the test where the package cannot be had."""
    folder = cache.mkdir(f"chat-templates-{llama_cpp.__version__}")
    if not [*folder.glob("*.jinja")]:
        _fetch(folder)
    return {path.stem: path.read_text() for path in sorted(folder.glob("*.jinja"))}


def _fetch(folder: Path) -> None:
    package = f"llama-cpp-python=={llama_cpp.__version__}"
    command = [*(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps")]
    command += ["--no-binary=llama-cpp-python", f"--dest={folder}", package]
    done = subprocess.run(command, capture_output=True, text=True)
    archive = next(folder.glob("*.tar.gz"), None)
    if archive is None:
        pytest.skip(f"{package}'s sources cannot be had: {done.stderr.strip()[-200:]}")
    for name, text in _members(archive):
        (folder / name).write_bytes(text)
    archive.unlink()


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as files:
        for member in files:
            if _FOLDER in member.name and member.name.endswith(".jinja"):
                file = files.extractfile(member)
                assert file
                yield Path(member.name).name, file.read()
