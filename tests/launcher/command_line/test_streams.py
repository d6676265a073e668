"""What the terminal, or what is in its place, makes of `llamaedge`'s words."""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from .conftest import LLAMAEDGE

ACCENTED = "mod\u00e8le.gguf"
BROKEN = os.fsdecode(b"mod\xe8le.gguf")


def llamaedge(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [LLAMAEDGE, *words],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "iso8859-1"])
@pytest.mark.parametrize("name", [ACCENTED, BROKEN], ids=["accented", "no UTF-8"])
def test_a_name_that_the_encoding_lacks_ends_nothing(
    folder: Path, encoding: str, name: str
) -> None:
    folder.joinpath(name).hardlink_to(folder / "model.gguf")
    shown = llamaedge(folder, "show", name, PYTHONIOENCODING=encoding)
    assert (shown.returncode, shown.stderr) == (0, b"")
    line = shown.stdout.splitlines()[0]
    if encoding == "utf-8":
        assert line.split()[-1] == os.fsencode(name)
    refused = llamaedge(folder, "run", f"no-{name}", PYTHONIOENCODING=encoding)
    assert refused.returncode == 1
    assert refused.stderr.startswith(b"error: ")
    assert b"Traceback" not in refused.stderr


def test_a_full_disk_behind_stdout_is_one_line(folder: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [LLAMAEDGE, "show", "model.gguf"],
            cwd=folder,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_ctrl_c_during_the_imports_says_nothing() -> None:
    code = """
import os, signal, sys
class Late:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Late())
from llamaedge_launcher.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_the_command_begins_there() -> None:
    project = tomllib.loads(Path(__file__).parents[3].joinpath("pyproject.toml").read_text())
    assert project["project"]["scripts"]["llamaedge"] == "llamaedge_launcher.__main__:main"
