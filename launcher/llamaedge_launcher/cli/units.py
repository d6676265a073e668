"""How the models of a command line are shared out: what each server of the guest is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from llamaedge_host import Preload
from llamaedge_host.ggml.llama.gguf import Gguf
from llamaedge_host.nn.preload import Encoding, Target

from ..errors import LauncherError
from ..fleet.recipe import DEFAULT, Kind, Model, version
from ..models.check import PROJECTOR, VOCODER, check_model
from ..models.embeds import embeds
from . import templates
from .draft_model import DRAFT
from .naming import ALIAS, NAME, OTHERS, Named, Options
from .options import SERVER_OPTIONS

TEMPLATE = "--prompt-template"
PAIR: tuple[Kind, ...] = ("chat", "embeddings")
"""What one server serves at most."""
_LISTS = {option.name: option for option in SERVER_OPTIONS if option.is_list}
_OF_THE_FIRST = (PROJECTOR, VOCODER, DRAFT, OTHERS, "--chat-template", "--reverse-prompt")
"""What is said of a model that the others are not."""


@dataclass(frozen=True)
class Unit:
    """A server of its own: its models, as it has them and as clients know them."""

    preloads: tuple[Preload, ...]
    models: tuple[Model, ...]
    arguments: tuple[str, ...]

    def beside(self, drafts: tuple[Preload, ...]) -> "Unit":
        """The same with the models that draft for it."""
        return replace(self, preloads=(*self.preloads, *drafts))


def make_units(
    context: click.Context,
    options: Options,
    named: Sequence[Named],
    headers: Mapping[str, Gguf],
    *,
    bundled: bool,
    drafts: tuple[Preload, ...] = (),
) -> tuple[Unit, ...]:
    """A unit for each of ``named``, or one for a chat model and its embedding model.

    The first one has the models that draft, ``drafts``.

    --model-alias says what one server has, so it makes one unit of all. ``headers`` are by the
    models' aliases. Raises click.UsageError and LauncherError.
    """
    kinds = tuple(_kind(options, number, each, headers) for number, each in enumerate(named))
    if ALIAS in options or len(named) == 1 or kinds == PAIR:
        _check_lists(options)
        alone = len(named) == 1
        unit = _unit(context, options, named, headers, bundled=bundled, alone=alone)
        return (unit.beside(drafts),)
    shares = [_share(options, number, kinds) for number in range(len(named))]
    units = [
        _unit(context, share, [each], headers, bundled=bundled)
        for each, share in zip(named, shares, strict=True)
    ]
    _check_names(units)
    return (units[0].beside(drafts), *units[1:])


def unit_of(options: Options, model: Model, *, bundled: bool) -> Unit:
    """A unit for a model of this machine, which is told what ``options`` say of all models.

    Raises LauncherError if it cannot be served.
    """
    header = check_model(model.name, model.path)
    for_embeddings = embeds(header)
    share = {name: value for name, value in options.items() if name not in _OF_THE_FIRST}
    for name in _LISTS.keys() & share.keys():
        value = str(share.pop(name))
        if not for_embeddings and name not in (NAME, ALIAS, TEMPLATE):
            share[name] = value.split(",")[0]
    share[NAME] = model.id
    if for_embeddings:
        share[TEMPLATE] = templates.EMBEDDING
    preload = Preload(DEFAULT, Encoding.GGML, Target.AUTO, model.path)
    named = [Named(preload, model.name, model.projector)]
    return _unit(None, share, named, {DEFAULT: header}, bundled=bundled, alone=True)


def _kind(options: Options, number: int, named: Named, headers: Mapping[str, Gguf]) -> Kind:
    given = str(options.get(TEMPLATE, "")).split(",")
    if given != [""] and number < len(given):
        return "embeddings" if given[number] == templates.EMBEDDING else "chat"
    name = named.preload.name
    embedding = name == templates.EMBEDDING or embeds(headers.get(name))
    return "embeddings" if embedding else "chat"


def _check_lists(options: Options) -> None:
    for name in _LISTS.keys() & options.keys():
        try:
            _LISTS[name].check(str(options[name]))
        except ValueError as error:
            raise LauncherError(f"{name}: {error}", exit_code=2) from error


def _share(options: Options, number: int, kinds: Sequence[Kind]) -> Options:
    """What ``options`` say of the model with this number.

    A list has a value for each model; of a list with one the value is for all chat models, and a
    name is the first model's.
    """
    share = dict(options)
    for name in _LISTS:
        values = str(share.pop(name, "")).split(",")
        if len(values) == len(kinds):
            share[name] = values[number]
        elif values != [""] and len(values) > 1:
            message = f"{name}: {options[name]!r} has {len(values)} values; give one for each of"
            raise LauncherError(f"{message} the {len(kinds)} models", exit_code=2)
        elif values != [""] and (number == 0 if name == NAME else kinds[number] == "chat"):
            share[name] = values[0]
    if number:
        for name in _OF_THE_FIRST:
            share.pop(name, None)
    if kinds[number] == "embeddings":
        share[TEMPLATE] = templates.EMBEDDING
    return share


def _unit(
    context: click.Context | None,
    options: Options,
    named: Sequence[Named],
    headers: Mapping[str, Gguf],
    *,
    bundled: bool,
    alone: bool = False,
) -> Unit:
    options = dict(options)
    preloads = tuple(each.preload for each in named)
    aliases = _aliases(context, options, preloads)
    served = [each for alias in aliases for each in named if each.preload.name == alias]
    if (own := served[0].projector) is not None:
        options.setdefault(PROJECTOR, str(own))
    projector = Path(str(options[PROJECTOR])) if PROJECTOR in options else None
    templates.complete(options, [headers.get(each) for each in aliases], bundled=bundled)
    kinds = str(options.get(TEMPLATE, templates.AUTO)).split(",")
    ids = _complete_names(options, [DEFAULT] if alone else aliases[: len(kinds)])
    others = tuple(dict.fromkeys(filter(None, str(options.get(OTHERS, "")).split(","))))
    if not bundled:
        options.pop(OTHERS, None)  # the public server alone knows these names
    models = tuple(
        Model(
            id_,
            each.name,
            "embeddings" if kind == templates.EMBEDDING else "chat",
            each.preload.path,
            projector if each is served[0] else each.projector,
            version(each.preload.path),
            others if each is served[0] else (),
        )
        for id_, each, kind in zip(ids, served, kinds, strict=False)
    )
    given = (name if value is True else f"{name}={value}" for name, value in options.items())
    return Unit(preloads, models, tuple(given))


def _complete_names(options: Options, names: Sequence[str]) -> list[str]:
    """The names that the server takes in requests: ``names``, where --model-name gives none."""
    given = str(options[NAME]).split(",") if NAME in options else []
    ids = [*given, *names[len(given) :]]
    if ids != given and ids != [DEFAULT]:
        options[NAME] = ",".join(ids)
    return ids


def _aliases(
    context: click.Context | None, options: Options, preloads: tuple[Preload, ...]
) -> list[str]:
    """The models' names in --nn-preload, which the server is told where it cannot guess them."""
    names = [each.name for each in preloads]
    if names not in (["default"], ["default", "embedding"]):
        options.setdefault(ALIAS, ",".join(names))
    aliases = str(options.get(ALIAS, ",".join(names))).split(",")
    for alias in aliases:
        if alias not in names:
            message = f"--model-alias names {alias!r}, but --nn-preload {', '.join(names)}"
            raise click.UsageError(message, context)
    return aliases


def _check_names(units: Sequence[Unit]) -> None:
    seen: set[str] = set()
    for unit in units:
        for model in unit.models:
            for name in {model.id, *model.aliases}:
                if name in seen:
                    message = f"{NAME}: two models are named {name!r}; give them different names"
                    raise LauncherError(message, exit_code=2)
                seen.add(name)
