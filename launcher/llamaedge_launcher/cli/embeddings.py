"""``--embeddings``: an embedding model beside the chat model."""

from collections.abc import Sequence
from pathlib import Path

from llamaedge_host import Preload
from llamaedge_host.nn.preload import Encoding, Target

from ..errors import LauncherError
from ..models import minilm
from ..models.reference import parse
from ..models.resolve import api_name, resolve
from .console import stderr
from .naming import ALIAS, NAME, Named, Options, fetch
from .options import SERVER_OPTIONS

DEMO = "demo"
_ALIAS = "embedding"
_TEMPLATE = "--prompt-template"
_SIZES = {"--ctx-size", "--batch-size", "--ubatch-size"}
_DEFAULTS = {NAME: "default", ALIAS: "default", _TEMPLATE: "auto"}


def add(model: str, chat: Sequence[Named], options: Options) -> tuple[Named, ...]:
    """``chat`` and the embedding model that --embeddings names.

    ``options`` name it too, after the chat model, unless they name two already. Raises
    LauncherError.
    """
    if len(chat) != 1:
        names = ", ".join(each.preload.name for each in chat)
        message = f"--embeddings adds a model to one chat model, but --nn-preload names {names}"
        raise LauncherError(f"{message}; leave one of them out", exit_code=2)
    path, name = _find(model)
    added = Named(Preload(_ALIAS, Encoding.GGML, Target.AUTO, path), name)
    alias = chat[0].preload.name
    _append(options, NAME, name)
    if ALIAS in options or alias != "default":
        _append(options, ALIAS, _ALIAS, first=alias)
    if _TEMPLATE in options:
        _append(options, _TEMPLATE, _ALIAS)
    for option in SERVER_OPTIONS:
        if option.name in _SIZES and option.name in options:
            _append(options, option.name, option.default.split(",")[1])
    return (*chat, added)


def _append(options: Options, option: str, value: str, *, first: str | None = None) -> None:
    given = str(options.get(option) or first or _DEFAULTS[option])
    if "," not in given:
        options[option] = f"{given},{value}"


def _find(model: str) -> tuple[Path, str]:
    """The file, and what requests call it."""
    if model == DEMO:
        console = stderr()
        return minilm.find(lambda line: console.print(line, markup=False)), minilm.NAME
    reference = parse(model)
    if isinstance(reference, Path) and not reference.exists() and reference.suffix != ".gguf":
        raise LauncherError(
            f"--embeddings: there is no model {model}: it is no file, and no ORG/REPO of Hugging"
            f" Face; {DEMO} is a small one that is fetched",
            exit_code=2,
        )
    return resolve(reference, fetch).path, api_name(reference)
