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
    EngineSettings,
    Guest,
    GuestExit,
    GuestStopped,
    GuestTrap,
    HostError,
    HostNetwork,
    Limits,
)

from .. import __version__, rlimit
from .wasmedge_arguments import Integer, read_options
from .wasmedge_guest import link_options, linked_guest
from .wasmedge_options import common_options, configure, say_run_mode
from .wasmedge_reactor import ABORTED, call
from .wasmedge_tools import TOOLS

_log = logging.getLogger(__name__)
_UNLIMITED_FUEL = 2**63
_VERSION = (
    f"wasmedge version {__version__} (llamaedge-host, wasmtime {version('wasmtime')}, "
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
    rlimit.raise_limit()
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
    try:
        command, words = _arrange(arguments)
        return command.main(words, prog_name="wasmedge", standalone_mode=False) or 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"wasmedge: {error.format_message()} (see wasmedge --help)", err=True)
    except HostError as error:
        _log.error("%s", error)
    return 1


def _arrange(arguments: Sequence[str]) -> tuple[click.Command, list[str]]:
    """The command to run and its words: a subcommand may come after options.

    Those before `run` are its own too; those before another one are without effect, as in
    WasmEdge, but for --help and --version.
    """
    command = _command
    options, rest, without = read_options(arguments, command)
    name = next(iter(rest[1:] if rest[:1] == ["--"] else rest), "")
    if name in _SUBCOMMANDS and not _ENDS & {*options}:
        command = _SUBCOMMANDS[name]
        more, rest, without_more = read_options(rest[rest.index(name) + 1 :], command)
        if command is not _command:
            options, without = [], []
        options, without = options + more, without + without_more
    for option in without:
        click.echo(f"wasmedge: {option} has no value and is left out", err=True)
    return command, options + rest


def _refuse_rpc(_context: click.Context, _option: click.Parameter, uri: str | None) -> None:
    if uri:
        raise click.UsageError(
            f"--nn-rpc-uri {uri}: no wasi_nn_rpcserver is asked here; name the models themselves"
            " with --nn-preload"
        )


@click.command(
    name="wasmedge",
    context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]},
    epilog="Subcommands: run (the default), compile, parse, validate, instantiate. "
    "Options for WebAssembly proposals (--disable-simd and so on) are WasmEdge's.",
)
@click.argument("wasm", type=click.Path(path_type=Path))
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@link_options
@click.option("--reactor", is_flag=True,
              help="Call the function named by the next argument; print its results.")  # fmt: skip
@click.option("--time-limit", type=Integer(0, 2**64 - 1), default=0, metavar="MILLISECONDS",
              help="End the guest after this time; 0 is no limit.")  # fmt: skip
@click.option("--gas-limit", type=Integer(), metavar="GAS",
              help="End the guest after about this many instructions.")  # fmt: skip
@click.option("--allow-af-unix", is_flag=True, help="Allow AF_UNIX sockets.")
@click.option("--run-mode", metavar="MODE", help="Accepted: guests are always compiled.")
@click.option("--allow-command", "commands", multiple=True, hidden=True)
@click.option("--nn-rpc-uri", callback=_refuse_rpc, expose_value=False, hidden=True)
@common_options
@click.version_option(__version__, "-v", "--version", message=_VERSION)
def _command(
    wasm: Path,
    args: tuple[str, ...],
    dirs: tuple[str, ...],
    env: tuple[str, ...],
    preloads: tuple[str, ...],
    linked: tuple[str, ...],
    memory_pages: int | None,
    reactor: bool,
    time_limit: int,
    gas_limit: int | None,
    allow_af_unix: bool,
    run_mode: str | None,
    commands: tuple[str, ...],
    forbidden_plugin: tuple[str, ...],
    log_level: str,
    **switches: bool,
) -> int:
    """Run the WASM module with its ARGS, which may be options of its own."""
    settings = configure(log_level, switches)
    say_run_mode(run_mode)
    if commands:
        _log.debug("--allow-command has no effect here: guests cannot run commands")
    measured = _measured(switches)
    fuel = gas_limit if gas_limit is not None else (_UNLIMITED_FUEL if measured else None)
    with linked_guest(
        wasm,
        dirs=dirs,
        env=env,
        preloads=preloads,
        linked=linked,
        forbidden_plugin=forbidden_plugin,
        args=args,
        network=HostNetwork(allow_unix=allow_af_unix),
        limits=Limits(memory_pages=memory_pages, time=time_limit / 1000 or None, fuel=fuel),
        settings=EngineSettings(fuel is not None, settings.proposals),
    ) as guest:
        return _run(guest, args, reactor, measured)


def _run(guest: Guest, args: tuple[str, ...], reactor: bool, measured: set[str]) -> int:
    started = time.perf_counter_ns()
    try:
        start = guest.export_type("_start")
        if not reactor and start is not None and not start.params and not start.results:
            return guest.run() % 256
        return call(guest, args if start is None or reactor else ("_start", *args))
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
_ENDS = {"-h", "--help", "-v", "--version"}
