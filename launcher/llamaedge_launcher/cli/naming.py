"""The models of a command line: ``MODEL``, ``--nn-preload``, and other programs' ``-m``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llamaedge_host import Preload
from llamaedge_host.nn.preload import Encoding, Target

from ..errors import LauncherError
from ..models.reference import HubModel, Reference, WebModel, names_hub, parse
from ..models.resolve import Resolved, api_name, resolve

if TYPE_CHECKING:
    from ..models.store import Stored

NAME = "--model-name"
ALIAS = "--model-alias"
PROJECTOR = "--llava-mmproj"
Options = dict[str, str | bool]


def take_model(model: str | None, preloads: Sequence[str], options: Options) -> str | None:
    """The model that is named without --nn-preload: ``model``, or llama.cpp's ``-m model.gguf``.

    -m is --model-name here; where no model is named and its value is a file or a repository, that
    is the model, and leaves ``options``.
    """
    name = str(options.get(NAME, ""))
    if model is not None or preloads or not _is_model(name):
        return model
    del options[NAME]
    return name


def _is_model(name: str) -> bool:
    found = parse(name)
    return bool(name) and (
        isinstance(found, HubModel | WebModel) or found.is_file() or name.endswith(".gguf")
    )


def name_models(
    model: str | None, preloads: Sequence[str], options: Options
) -> tuple[Preload, ...]:
    """What is to be loaded, ``model`` first; what is not here is fetched, as the terminal shows.

    ``options`` get the model's name and the projector that came with it, unless they have them.
    Raises PreloadError and LauncherError.
    """
    found: list[tuple[Preload, Resolved]] = []
    if model is not None:
        reference = parse(model)
        if isinstance(reference, Path) and not reference.exists() and reference.suffix != ".gguf":
            raise LauncherError(
                f"there is no model {model}: it is no file, and no ORG/REPO of Hugging Face;"
                " llamaedge search finds those",
                exit_code=2,
            )
        options.setdefault(NAME, api_name(reference))
        files = _files(reference)
        alias = str(options.get(ALIAS, "default")).partition(",")[0]
        found.append((Preload(alias, Encoding.GGML, Target.AUTO, files.path), files))
    found += map(_preload, preloads)
    for _, files in found[:1]:
        if files.projector is not None:
            options.setdefault(PROJECTOR, str(files.projector))
    return tuple(preload for preload, _ in found)


def _preload(text: str) -> tuple[Preload, Resolved]:
    """``name:ENCODING:TARGET:path``, where the path may be of a hub or a URL."""
    preload = Preload.parse(text)
    place = text.split(":", 3)[3]
    if not names_hub(place):
        return preload, Resolved(preload.path)
    files = _files(parse(place))
    return replace(preload, path=files.path), files


def _files(model: Reference) -> Resolved:
    return resolve(model, fetch)


def fetch(model: HubModel | WebModel) -> "Stored":
    """Bring ``model`` here, as the terminal shows. Raises LauncherError."""
    from ..models.pull import pull
    from .console import stderr
    from .progress import shown

    console = stderr()
    with shown(console) as watcher:
        return pull(model, watcher, lambda line: console.print(line, markup=False))
