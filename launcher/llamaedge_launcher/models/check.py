"""What is checked of models before anything is started."""

from collections.abc import Sequence
from pathlib import Path

from llamaedge_host.ggml.llama import split
from llamaedge_host.ggml.llama.gguf import Gguf, GgufError, read
from llamaedge_host.nn.preload import Encoding, Preload

from ..errors import LauncherError

PROJECTORS = "clip"
"""The architecture that multimodal projectors name."""


def check(preloads: Sequence[Preload]) -> dict[str, Gguf]:
    """The headers of the GGUF files by the models' names.

    Raises LauncherError for a name given twice and a file that is missing or cannot be used.
    """
    headers: dict[str, Gguf] = {}
    seen: set[str] = set()
    for preload in preloads:
        if preload.name in seen:
            message = f"--nn-preload: two models are named {preload.name!r}"
            raise LauncherError(message, exit_code=2)
        seen.add(preload.name)
        if preload.encoding == Encoding.GGML:
            headers[preload.name] = check_model(f"model {preload.name!r}", preload.path)
    return headers


def check_model(what: str, path: Path) -> Gguf:
    """The header of the model at ``path``, with the tensors of all its files, which are sound.

    Raises LauncherError, which calls it ``what``.
    """
    files = split.paths(path)
    if path != files[0]:
        raise LauncherError(f"{what}: {path} is not its first file; name {files[0]}")
    header, *others = [_header(what, each) for each in files]
    for each in others:
        header.tensors += each.tensors
    if header.architecture == PROJECTORS:
        raise LauncherError(f"{what}: {path} is a projector; name it in --llava-mmproj")
    return header


def check_projector(path: Path) -> None:
    """Raise LauncherError unless a multimodal projector lies at ``path``."""
    header = _header("--llava-mmproj", path)
    if header.architecture != PROJECTORS:
        found = f"a model of the architecture {header.architecture!r}"
        raise LauncherError(f"--llava-mmproj: {path} is {found}, not a projector")


def _header(what: str, path: Path) -> Gguf:
    try:
        return read(path)
    except OSError as error:
        raise LauncherError(f"{what}: cannot read {path}: {error.strerror}") from error
    except GgufError as error:
        message = f"{what}: {path} cannot be used: {error}; download it again"
        raise LauncherError(message) from error
