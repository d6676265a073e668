"""The documents make a site, and every one of them is in it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="the extra 'docs' is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir"]
    done = subprocess.run(
        [*command, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for page in ROOT.joinpath("docs").glob("*.md"):
        name = "" if page.stem == "index" else page.stem
        assert tmp_path.joinpath(name, "index.html").is_file(), page
    options = tmp_path.joinpath("cli", "index.html").read_text()
    assert "--nn-preload" in options
    assert "--gas-limit" in options
    assert "PrivateNetwork" in tmp_path.joinpath("python", "index.html").read_text()
