"""What the terminal, or what is in its place, makes of `llamaedge`'s words."""

import os
import subprocess
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
