"""What is checked of models before anything is started."""

from collections.abc import Sequence
from pathlib import Path

from llamaedge_host.ggml.llama import split
from llamaedge_host.ggml.llama.gguf import Gguf, GgufError, read
from llamaedge_host.nn.preload import Encoding, Preload

from ..errors import LauncherError

PROJECTOR, VOCODER = "--llava-mmproj", "--model-vocoder"
BESIDE = {PROJECTOR: ("clip", "projector"), VOCODER: ("wavtokenizer-dec", "vocoder")}
"""The options of files beside a model: the architecture that these name, and what they are."""


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
    for option, (architecture, called) in BESIDE.items():
        if header.architecture == architecture:
            raise LauncherError(f"{what}: {path} is a {called}; name it in {option}")
    return header


def check_beside(option: str, path: Path) -> Gguf:
    """The header of what ``option`` names beside a model. Raises LauncherError if it is no such."""
    architecture, called = BESIDE[option]
    header = _header(option, path)
    if header.architecture != architecture:
        found = f"a model of the architecture {header.architecture!r}"
        raise LauncherError(f"{option}: {path} is {found}, not a {called}")
    return header


def _header(what: str, path: Path) -> Gguf:
    try:
        return read(path)
    except OSError as error:
        raise LauncherError(f"{what}: cannot read {path}: {error.strerror}") from error
    except GgufError as error:
        message = f"{what}: {path} cannot be used: {error}; download it again"
        raise LauncherError(message) from error
