"""What is checked of models before anything is started."""

from collections.abc import Sequence
from pathlib import Path

from llamaedge_host.nn.preload import Encoding, Preload

from .errors import LauncherError

_MAGIC = b"GGUF"


def check(preloads: Sequence[Preload]) -> None:
    """Raise LauncherError for a name given twice and a file that is missing or no GGUF."""
    seen: set[str] = set()
    for preload in preloads:
        if preload.name in seen:
            message = f"--nn-preload: two models are named {preload.name!r}"
            raise LauncherError(message, exit_code=2)
        seen.add(preload.name)
        if preload.encoding == Encoding.GGML:
            _check_file(preload.name, preload.path)


def _check_file(name: str, path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise LauncherError(f"model {name!r}: cannot read {path}: {error.strerror}") from error
    if start != _MAGIC:
        raise LauncherError(
            f"model {name!r}: {path} is not a GGUF file (it begins with {start!r});"
            " download it again, or convert it to GGUF"
        )
