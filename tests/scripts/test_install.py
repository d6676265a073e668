"""scripts/install, with a Python that only seems to install."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = """#!/bin/sh
case "$*" in
*"-m venv .venv")
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    [ -e ensurepip ] || exit 1
    touch .venv/bin/pip ;;
*scripts/progress.py*)
    [ -e .venv/bin/pip ] || exit 1
    mkdir -p launcher/llamaedge_launcher
    touch launcher/llamaedge_launcher/llama-api-server.wasm ;;
esac
"""


def install(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "scripts" / "install", "demo"],
        env=os.environ | {"PYTHON": str(folder / "python")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_environment_that_came_in_part_is_made_again(tmp_path: Path) -> None:
    """Debian's venv leaves one without pip where python3-venv is not installed."""
    folder = tmp_path / "a folder"
    folder.joinpath("wasm").mkdir(parents=True)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    python = folder / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    first = install(folder)
    assert first.returncode == 1
    assert "apt install python3-venv" in first.stderr
    folder.joinpath("ensurepip").touch()
    second = install(folder)
    assert (second.returncode, second.stderr) == (0, "")
    assert folder.joinpath(".venv/installed-demo").exists()
