"""Environments for clients whose needs clash with the tests' or with each other's.

A Python one has what the dependency group of its name says in pyproject.toml, Node's what
adapters/package.json says. They are kept in .venv/clients until that changes.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
ADAPTERS = Path(__file__).with_name("adapters")
FOLDER = ROOT / ".venv" / "clients"
NPM = "npm"


class Absent(Exception):
    """What an environment needs is not on this machine."""


def command(environment: str | None, adapter: str) -> list[str]:
    """How the adapter is run; makes its environment, if there is none. Raises Absent."""
    if environment == NPM:
        return [_found("node"), str(_node() / adapter)]
    python = sys.executable if environment is None else _python(environment)
    return [python, str(ADAPTERS / adapter)]


def _python(name: str) -> str:
    project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())
    needs = project["dependency-groups"][f"clients-{name}"]
    folder = FOLDER / name
    python = str(folder / "bin" / "python")
    if _changed(folder, json.dumps([needs, sys.version])):
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, *needs])
        _done(folder, json.dumps([needs, sys.version]))
    return python


def _node() -> Path:
    npm, folder = _found("npm"), FOLDER / NPM
    needs = ADAPTERS.joinpath("package.json").read_text()
    if _changed(folder, needs):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        folder.joinpath("package.json").write_text(needs)
        _run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder)])
        _done(folder, needs)
    for program in ADAPTERS.glob("*.mjs"):
        shutil.copy(program, folder)
    return folder


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise Absent(f"there is no {program} here")
    return path


def _stamp(folder: Path) -> Path:
    return folder / "installed"


def _changed(folder: Path, needs: str) -> bool:
    stamp = _stamp(folder)
    return not stamp.exists() or stamp.read_text() != _digest(needs)


def _done(folder: Path, needs: str) -> None:
    _stamp(folder).write_text(_digest(needs))


def _digest(needs: str) -> str:
    return hashlib.sha256(needs.encode()).hexdigest()


def _run(words: Sequence[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
