"""The models of a command line: ``MODEL``, ``--nn-preload``, and other programs' ``-m``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
OTHERS = "--alias"
Options = dict[str, str | bool]


def take_model(model: str | None, preloads: Sequence[str], options: Options) -> str | None:
    """The model that is named without --nn-preload: ``model``, or llama.cpp's ``-m model.gguf``.

    -m is --model-name here; where no model is named and its value is a file or a repository, that
    is the model, and leaves ``options``. -a, for which there is no --nn-preload, is llama.cpp's
    name of the model then.
    """
    if preloads:
        return model
    name = str(options.get(NAME, ""))
    if model is None and _is_model(name):
        model = name
        del options[NAME]
    if NAME not in options and ALIAS in options:
        names = str(options.pop(ALIAS))
        options[NAME] = names.partition(",")[0]
        if names != options[NAME]:
            options.setdefault(OTHERS, names)
    return model


def name_by_aliases(options: Options) -> None:
    """Let the first of --alias be the model's name, as in llama.cpp, if it has no other."""
    if OTHERS in options:
        options.setdefault(NAME, str(options[OTHERS]).partition(",")[0])


def _is_model(name: str) -> bool:
    found = parse(name)
    return bool(name) and (
        isinstance(found, HubModel | WebModel) or found.is_file() or name.endswith(".gguf")
    )


@dataclass(frozen=True)
class Named:
    """A model of the command line, ``name`` as it is run by, and the projector that is its own."""

    preload: Preload
    name: str
    projector: Path | None = None


def name_models(model: str | None, preloads: Sequence[str], options: Options) -> tuple[Named, ...]:
    """What is to be loaded, ``model`` first; what is not here is fetched, as the terminal shows.

    ``options`` get the first one's name, unless they have it. Raises PreloadError and
    LauncherError.
    """
    found: list[Named] = []
    if model is not None:
        reference = parse(model)
        if isinstance(reference, Path) and not reference.exists() and reference.suffix != ".gguf":
            raise LauncherError(
                f"there is no model {model}: it is no file, and no ORG/REPO of Hugging Face;"
                " llamaedge search finds those",
                exit_code=2,
            )
        options.setdefault(NAME, api_name(reference))
        files = resolved(reference)
        alias = str(options.get(ALIAS, "default")).partition(",")[0]
        preload = Preload(alias, Encoding.GGML, Target.AUTO, files.path)
        found.append(Named(preload, files.name, files.projector))
    return (*found, *map(_preload, preloads))


def _preload(text: str) -> Named:
    """``name:ENCODING:TARGET:path``, where the path may be of a hub or a URL."""
    preload = Preload.parse(text)
    place = text.split(":", 3)[3]
    if not names_hub(place):
        return Named(preload, str(preload.path))
    files = resolved(parse(place))
    return Named(replace(preload, path=files.path), files.name, files.projector)


def resolved(model: Reference) -> Resolved:
    """The files of ``model``, fetched if they are not here. Raises LauncherError."""
    return resolve(model, fetch)


def fetch(model: HubModel | WebModel) -> "Stored":
    """Bring ``model`` here, as the terminal shows. Raises LauncherError."""
    from ..models.pull import pull
    from .console import stderr
    from .progress import shown

    console = stderr()
    with shown(console) as watcher:
        return pull(model, watcher, lambda line: console.print(line, markup=False))
