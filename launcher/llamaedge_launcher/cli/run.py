"""The command ``llamaedge run``."""

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import click
from click.core import augment_usage_errors

from .. import log
from ..address import Address, Addresses, listen
from ..importing import uncollected
from ..settings import Settings
from . import line
from .adapters import LORA, check_adapters
from .config import ConfiguredCommand, config_options
from .keeping import take_keeping
from .options import SERVER_OPTIONS, ServerClickOption, ServerOption
from .plan import BUNDLED, PARALLEL, Plan, make_plan
from .public import give_files, give_page, public_options, take_settings
from .tags import TAGS, tagged
from .values import Assignment, ListenAddresses, SocketAddresses, Whole


class _RunCommand(ConfiguredCommand):
    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """click's call: a line may also be as WasmEdge or llama.cpp's server takes it."""
        with augment_usage_errors(context):
            words, context.obj = line.split(self, args)
            return super().parse_args(context, words)

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """click's call: the host's options and the server's are two lists."""
        groups: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
        for param in self.get_params(context):
            record = param.get_help_record(context)
            if record is not None and isinstance(param, click.Option):
                groups[isinstance(param, ServerClickOption)].append(record)
        for title, rows in zip(("Options", "Server options"), groups.values(), strict=True):
            with formatter.section(title):
                formatter.write_dl(rows)


def _server_options(command: click.Command) -> click.Command:
    command.params += map(ServerClickOption, SERVER_OPTIONS)
    return command


@_server_options
@click.command(
    cls=_RunCommand,
    short_help="Serve models.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("model", required=False)
@click.option("--hf-repo", "--model", "named", hidden=True)
@click.option(
    "--nn-preload",
    "preloads",
    multiple=True,
    metavar="NAME:GGML:AUTO:PATH",
    help="A model for the server, a file or hf:ORG/REPO:QUANTIZATION; may be repeated",
)
@click.option(
    "--embeddings",
    metavar="MODEL",
    help="A model for embeddings and retrieval beside the chat model, named as MODEL is; demo is"
    " a small one",
)
@click.option(
    "--guest",
    default=BUNDLED,
    show_default=True,
    metavar="PATH",
    help="The server to run: a llama-api-server.wasm, official@VERSION, or bundled",
)
@click.option(
    "--socket-addr",
    type=ListenAddresses(),
    metavar="HOST:PORT[,HOST:PORT...]",
    help=f"Where to listen  [default: {Address()}]",
)
@click.option(
    "--host",
    metavar="HOST[,HOST...]",
    help=f"The address to listen on, 0.0.0.0 for all  [default: {Address().host}]",
)
@click.option(
    "--port",
    type=Whole(0, 65535),
    metavar="PORT",
    help=f"The port to listen on; 0 takes any free one  [default: {Address().port}]",
)
@click.option(
    "--instances",
    type=Whole(1, 64),
    default=1,
    show_default=True,
    metavar="NUMBER",
    help="Servers to run side by side",
)
@click.option(
    "--parallel",
    type=Whole(1, 256),
    metavar="NUMBER",
    help="Requests that the bundled server computes at once; as many again take turns with them"
    f"  [default: {PARALLEL}]",
)
@click.option(
    "--rpc",
    type=SocketAddresses(),
    metavar="HOST:PORT,...",
    help="Machines that run llamaedge rpc-worker, to share the models' layers among",
)
@click.option(
    "--dir",
    "dirs",
    multiple=True,
    metavar="[GUEST:]HOST[:readonly]",
    help="A directory for the server; may be repeated",
)
@click.option(
    "--env",
    "environment",
    type=Assignment(),
    multiple=True,
    metavar="NAME=VALUE",
    help="An environment variable for the server; may be repeated",
)
@click.option(
    "--log-level",
    type=click.Choice(tuple(log.LEVELS)),
    help="How much to tell  [default: info]",
)
@click.option(
    "--log-format",
    type=click.Choice(log.FORMATS),
    default=log.TEXT,
    show_default=True,
    help="How to tell it: json is one object a line",
)
@click.option("--parent-fd", "parent", type=int, hidden=True)
@LORA
@TAGS
@public_options
@config_options
@click.pass_context
def run(context: click.Context, /, parent: int | None, **given: Any) -> int:
    """Serve MODEL at http://127.0.0.1:8080/v1, or where --socket-addr says.

    MODEL is a GGUF file, ORG/REPO or ORG/REPO:QUANTIZATION on Hugging Face, or a URL; what is not
    here is fetched. Without it and --nn-preload it is the demo model, if llamaedge-host[demo] is
    installed. The server options go to the server as they are given.

    A command line of WasmEdge's is understood too: a .wasm file is the server to run, and what
    follows it is the server's. So is one of llama.cpp's server: -m model.gguf -ngl 99 -c 4096.
    """
    plan, settings = prepare(context, **given)
    settings.places.check()
    with ExitStack() as open_ones:
        listeners = [open_ones.enter_context(each) for each in listen(plan.addresses)]
        return _serve(plan, settings, listeners, parent)


def prepare(
    context: click.Context,
    /,
    *,
    model: str | None,
    named: str | None,
    embeddings: str | None,
    preloads: tuple[str, ...],
    guest: str,
    socket_addr: Addresses | None,
    host: str | None,
    port: int | None,
    instances: int,
    parallel: int | None,
    rpc: str | None,
    dirs: tuple[str, ...],
    environment: tuple[tuple[str, str], ...],
    log_level: str | None,
    log_format: str,
    **rest: Any,
) -> tuple[Plan, Settings]:
    """What the parameters of run ask for; a model that is not here is fetched.

    Raises click.UsageError and LauncherError.
    """
    if model is not None and named is not None:
        raise click.UsageError(f"{model} and {named} are two models; name one", context)
    addresses = _addresses(context, socket_addr, host, port)
    log.configure(log_level or "info", log_format)
    variables = dict(environment)
    settings = public_settings(context, variables)
    given = server_options(context)
    if guest != BUNDLED:
        _take(given, "--strict-model")
    plan = make_plan(
        context,
        model=model or named,
        embeddings=embeddings,
        preloads=preloads,
        guest=guest,
        addresses=addresses,
        instances=instances,
        parallel=parallel,
        dirs=dirs,
        environment=variables,
        log_level=log_level,
        log_format=log_format,
        server=given,
        others=context.obj,
        rpc=tuple(rpc.split(",")) if rpc else (),
    )
    check_adapters(rest["adapters"])
    plan = replace(
        plan,
        keeping=take_keeping(rest),
        adapters=rest["adapters"],
        units=tagged(plan.units, rest["tags"]),
    )
    if settings.official:
        dirs = plan.dirs
        if settings.store_files is None:
            dirs = give_files(dirs, settings.data_dir)
        plan = replace(plan, dirs=dirs, made_right=True)
    return plan, give_page(context, settings, plan.web_ui, none=rest["no_web_ui"])


def _addresses(
    context: click.Context, whole: Addresses | None, host: str | None, port: int | None
) -> Addresses | None:
    """Where to listen, if that was said. Raises click.UsageError."""
    other = "--host" if host is not None else "--port" if port is not None else None
    if other is None:
        return whole
    if whole is not None:
        raise click.UsageError(f"--socket-addr and {other} exclude each other", context)
    usual = Address()
    hosts = [usual.host] if host is None else [each.strip().strip("[]") for each in host.split(",")]
    return Addresses(tuple(Address(each, usual.port if port is None else port) for each in hosts))


def public_settings(context: click.Context, variables: dict[str, str]) -> Settings:
    """What the parameters of run say of the public server, but for its page.

    Raises click.UsageError and LauncherError.
    """
    given, raw = context.params, context.params["raw"]
    settings = take_settings(given, variables)
    if given["guest"] == BUNDLED:
        if raw:
            raise click.UsageError("--raw is for other servers than the bundled one", context)
        return settings
    strict = bool(_take(server_options(context), "--strict-model"))
    if strict and raw:
        raise click.UsageError("--strict-model and --raw exclude each other", context)
    return replace(settings, official=not raw, strict_model=strict)


def server_options(context: click.Context) -> dict[ServerOption, str | bool]:
    """The server's options that were given to run."""
    return {
        param.server_option: context.params[param.name]
        for param in context.command.params
        if isinstance(param, ServerClickOption) and param.name and context.params[param.name]
    }


def _take(given: dict[ServerOption, str | bool], name: str) -> dict[ServerOption, str | bool]:
    """The option out of ``given``, if it is there."""
    return {option: given.pop(option) for option in list(given) if option.name == name}


def _serve(
    plan: Plan, settings: Settings, listeners: Sequence[socket.socket], descriptor: int | None
) -> int:
    """Start the workers first: the server's modules are imported while they load."""
    with uncollected():
        from ..fleet.fleet import Fleet
        from ..supervisor import WorkerProcess
        from .local import LocalModels

    bound, *others = [Address(*each.getsockname()[:2]) for each in listeners]
    hang = settings.hang_timeout
    local = LocalModels(partial(plan.serve, bound=bound, hang_timeout=hang))
    fleet = Fleet(plan.recipes(bound, hang_timeout=hang), WorkerProcess, settings, local)
    try:
        with uncollected():
            from ..parent import Parent
            from ..serve import serve
            from .screen import Screen

        screen = Screen(plan, settings, bound, *others)
        screen.show_plan()
        parent = None if descriptor is None else Parent(descriptor)

        def on_ready() -> None:
            screen.show_ready()
            if parent is not None:
                parent.tell(screen.url)

        return serve(
            listeners,
            fleet,
            settings,
            known_only=plan.known_only,
            on_ready=on_ready,
            on_sized=screen.show_sizes,
        )
    finally:
        fleet.kill()
