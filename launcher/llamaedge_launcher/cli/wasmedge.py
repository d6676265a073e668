"""`wasmedge`: WasmEdge's command line on this host.

Options, argument rules and exit codes are WasmEdge's, as scripts rely on them. The host's own
log lines go to stderr: a guest's stdout is data.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import click

from llamaedge_host import (
    Guest,
    GuestExit,
    GuestStopped,
    GuestTrap,
    HostError,
    HostNetwork,
    Limits,
    NeuralNetwork,
    Preload,
    PreloadError,
    Preopen,
)
from llamaedge_host.modules import EngineSettings

from .. import descriptors
from .wasmedge_options import common_options, configure
from .wasmedge_tools import TOOLS

ABORTED = 134
"""The exit code of a trap, a panic and a limit: 128 + SIGABRT."""

_log = logging.getLogger(__name__)
_BITS = {"i32": 32, "i64": 64}
_UNLIMITED_FUEL = 2**63
_VERSION = (
    f"wasmedge (llamaedge-host) %(version)s (wasmtime {version('wasmtime')}, "
    f"wasi_nn GGML by llama-cpp-python {version('llama-cpp-python')})"
)
_MEASURES = {"enable_instruction_count", "enable_gas_measuring", "enable_time_measuring"}


def main() -> None:
    """The program: run the command line and end the process with WasmEdge's exit code.

    Signals keep their default action: a guest in wasm or in a host call ends at once.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    _hold_closed_streams()
    descriptors.raise_limit()
    sys.exit(execute(sys.argv[1:]))


def _hold_closed_streams() -> None:
    """Keep a closed descriptor of 0, 1 and 2 from becoming something else's.

    It can still not be read or written, so that a guest gets EBADF.
    """
    for fd, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_RDONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, mode)


def execute(arguments: Sequence[str]) -> int:
    """Run the command line ``arguments`` and answer the exit code."""
    command, rest = _command, list(arguments)
    if rest and rest[0] in _SUBCOMMANDS:
        command = _SUBCOMMANDS[rest.pop(0)]
    try:
        return command.main(rest, prog_name="wasmedge", standalone_mode=False) or 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"wasmedge: {error.format_message()} (see wasmedge --help)", err=True)
    except HostError as error:
        _log.error("%s", error)
    return 1


@click.command(
    name="wasmedge",
    context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]},
    epilog="Subcommands: run (the default), compile, parse, validate, instantiate. "
    "Options for WebAssembly proposals (--disable-simd and so on) are WasmEdge's.",
)
@click.argument("wasm", type=click.Path(path_type=Path))
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option("--dir", "dirs", multiple=True, metavar="[GUEST:]HOST[:readonly]",
              help="Give the guest a directory.")  # fmt: skip
@click.option("--env", "env", multiple=True, metavar="NAME=VALUE",
              help="Set one of the guest's environment variables.")  # fmt: skip
@click.option("--nn-preload", "preloads", multiple=True, metavar="NAME:ENCODING:TARGET:PATH",
              help="Name a model for wasi-nn, as in default:GGML:AUTO:model.gguf.")  # fmt: skip
@click.option("--module", "linked", multiple=True, metavar="NAME:PATH",
              help="Link with a further module.")  # fmt: skip
@click.option("--reactor", is_flag=True,
              help="Call the function named by the next argument; print its results.")  # fmt: skip
@click.option("--memory-page-limit", type=click.IntRange(min=0), metavar="PAGES",
              help="The guest's memory at most, in pages of 64 KiB.")  # fmt: skip
@click.option("--time-limit", type=click.IntRange(min=0), default=0, metavar="MILLISECONDS",
              help="End the guest after this time; 0 is no limit.")  # fmt: skip
@click.option("--gas-limit", type=click.IntRange(min=0), metavar="GAS",
              help="End the guest after about this many instructions.")  # fmt: skip
@click.option("--allow-af-unix", is_flag=True, help="Allow AF_UNIX sockets.")
@click.option("--forbidden-plugin", multiple=True, metavar="NAME",
              help="Do not provide a plugin; wasi_nn is the one there is.")  # fmt: skip
@click.option("--run-mode", metavar="MODE", help="Accepted: guests are always compiled.")
@common_options
@click.version_option(None, "-v", "--version", package_name="llamaedge-host", message=_VERSION)
def _command(
    wasm: Path,
    args: tuple[str, ...],
    dirs: tuple[str, ...],
    env: tuple[str, ...],
    preloads: tuple[str, ...],
    linked: tuple[str, ...],
    reactor: bool,
    memory_page_limit: int | None,
    time_limit: int,
    gas_limit: int | None,
    allow_af_unix: bool,
    forbidden_plugin: tuple[str, ...],
    run_mode: str | None,
    log_level: str,
    **switches: bool,
) -> int:
    """Run the WASM module with its ARGS, which may be options of its own."""
    settings = configure(log_level, switches)
    if run_mode is not None:
        _log.debug("--run-mode %s has no effect here: guests are always compiled", run_mode)
    measured = _measured(switches)
    fuel = gas_limit if gas_limit is not None else (_UNLIMITED_FUEL if measured else None)
    nn = None if "wasi_nn" in forbidden_plugin else NeuralNetwork(_preloads(preloads))
    try:
        with Guest(
            wasm,
            args=args,
            env=_environment(env),
            dirs=_directories(dirs),
            network=HostNetwork(allow_unix=allow_af_unix),
            nn=nn,
            limits=Limits(
                memory_pages=memory_page_limit, time=time_limit / 1000 or None, fuel=fuel
            ),
            settings=EngineSettings(fuel is not None, settings.proposals),
            linked=_linked(linked),
        ) as guest:
            return _run(guest, args, reactor, measured)
    finally:
        if nn is not None:
            nn.close()


def _run(guest: Guest, args: tuple[str, ...], reactor: bool, measured: set[str]) -> int:
    started = time.perf_counter_ns()
    try:
        start = guest.export_type("_start")
        if not reactor and start is not None and not start.params and not start.results:
            return guest.run() % 256
        return _call(guest, args if start is None or reactor else ("_start", *args))
    except GuestExit as error:
        return error.code % 256
    except GuestTrap as error:
        _log.error("execution failed: %s", error)
        for frame in error.frames:
            _log.error("    in %s", frame)
        return ABORTED
    except GuestStopped as error:
        _log.error("execution stopped: %s", error.reason)
        return ABORTED
    finally:
        _print_statistics(measured, time.perf_counter_ns() - started, guest.fuel_used)


def _call(guest: Guest, args: tuple[str, ...]) -> int:
    if not args:
        click.echo("A function name is required when reactor mode is enabled.", err=True)
        return 1
    name, *texts = args
    type_ = guest.export_type(name)
    if type_ is None:
        click.echo(f'Function "{name}" not found in the module export list.', err=True)
        return 1
    if len(texts) != len(type_.params):
        _log.error(
            "function `%s` expects %d argument(s), got %d", name, len(type_.params), len(texts)
        )
        return 1
    values = []
    for text, param in zip(texts, type_.params, strict=True):
        try:
            values.append(_number(text, str(param)))
        except ValueError:
            _log.error("argument %r of function `%s` is not of type %s", text, name, param)
            return 1
    if name != "_initialize" and guest.export_type("_initialize") is not None:
        guest.call("_initialize")
    results = guest.call(name, *values)
    for result in results if isinstance(results, list) else [results]:
        if result is not None:
            click.echo(str(result))
    return 0


def _number(text: str, type_: str) -> int | float:
    if type_ not in _BITS:
        return float(text)
    value, bits = int(text), _BITS[type_]
    if not -(2 ** (bits - 1)) <= value < 2**bits:
        raise ValueError(f"{text} has more than {bits} bits")
    return value


def _preloads(texts: Sequence[str]) -> list[Preload]:
    found = []
    for text in texts:
        try:
            found.append(Preload.parse(text))
        except PreloadError as error:
            _log.error("[WASI-NN] %s", error)
    return found


def _directories(texts: Sequence[str]) -> list[Preopen]:
    found = [Preopen.parse(text) for text in texts]
    for each in found:
        if not each.host.is_dir():
            _log.error("--dir %s:%s is left out: no such directory", each.guest, each.host)
    return [each for each in found if each.host.is_dir()]


def _environment(texts: Sequence[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise click.UsageError(f"--env {text}: expected NAME=VALUE")
    return dict(text.split("=", 1) for text in texts)


def _linked(texts: Sequence[str]) -> dict[str, Path]:
    for text in texts:
        if ":" not in text:
            raise click.UsageError(f'invalid --module format: "{text}"; expected name:path')
    return {name: Path(path) for name, path in (text.split(":", 1) for text in texts)}


def _measured(switches: dict[str, bool]) -> set[str]:
    if switches["enable_all_statistics"]:
        return _MEASURES
    return {name for name in _MEASURES if switches[name]}


def _print_statistics(measured: set[str], nanoseconds: int, fuel: int | None) -> None:
    if not measured:
        return
    _log.info("====================  Statistics  ====================")
    if "enable_time_measuring" in measured:
        _log.info(" Total execution time: %d ns", nanoseconds)
    if "enable_instruction_count" in measured:
        _log.info(" Executed wasm instructions count: %d", fuel)
    if "enable_gas_measuring" in measured:
        _log.info(" Gas costs: %d", fuel)
    if {"enable_time_measuring", "enable_instruction_count"} <= measured and fuel is not None:
        _log.info(" Instructions per second: %d", fuel * 1_000_000_000 // max(nanoseconds, 1))
    _log.info("=======================   End   ======================")


_SUBCOMMANDS = {"run": _command, **TOOLS}
