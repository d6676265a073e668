"""`wasmedge compile`, `parse`, `validate` and `instantiate`."""

import logging
import os
from pathlib import Path
from typing import Any

import click
from wasmtime import FuncType, Module

from llamaedge_host import Limits
from llamaedge_host.modules import load, read_wasm
from llamaedge_host.values import letters, type_name
from llamaedge_host.whole_file import write_whole

from .wasmedge_guest import link_options, linked_guest
from .wasmedge_options import common_options, configure

_log = logging.getLogger(__name__)
_WASM = click.argument("wasm", type=click.Path(path_type=Path))


def _load(wasm: Path, log_level: str, switches: dict[str, Any]) -> Module:
    settings = configure(log_level, switches)
    return load(settings.engine(), settings, read_wasm(wasm), str(wasm))


@click.command()
@_WASM
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--optimize", default="2", metavar="LEVEL",
              help="Accepted: guests are always optimised.")  # fmt: skip
@common_options
def _compile(wasm: Path, out: Path, optimize: str, log_level: str, **switches: Any) -> int:
    """Compile WASM into the cache and write a portable copy of it to OUT.

    Machine code is only ever loaded from the user's own cache: from any other file it would
    run unsandboxed. So OUT is the module itself, which starts at once because it is cached.
    """
    _load(wasm, log_level, switches)
    _log.debug("--optimize %s has no effect here: guests are always optimised", optimize)
    try:
        _write(out.resolve(), wasm.read_bytes())
    except OSError as error:
        raise click.ClickException(f"cannot write {out}: {error.strerror}") from None
    _log.info("compiled %s; %s is portable and starts from the cache", wasm, out)
    return 0


def _write(out: Path, data: bytes) -> None:
    """Into a new file with the permissions of one, or into the device or pipe that there is."""
    if out.exists() and not out.is_file():
        out.write_bytes(data)
        return
    mask = os.umask(0)
    os.umask(mask)
    write_whole(out, data, mode=0o666 & ~mask)


@click.command()
@_WASM
@common_options
def _parse(wasm: Path, log_level: str, **switches: Any) -> int:
    """List what WASM imports and exports."""
    module = _load(wasm, log_level, switches)
    for each in module.imports:
        click.echo(f"import {each.module}.{each.name} {_describe(each.type)}")
    for export in module.exports:
        click.echo(f"export {export.name} {_describe(export.type)}")
    return 0


@click.command()
@_WASM
@common_options
def _validate(wasm: Path, log_level: str, **switches: Any) -> int:
    """Say whether WASM is a valid module."""
    _load(wasm, log_level, switches)
    _log.info("Validation succeeded.")
    return 0


@click.command()
@_WASM
@link_options
@common_options
def _instantiate(
    wasm: Path,
    dirs: tuple[str, ...],
    env: tuple[str, ...],
    preloads: tuple[str, ...],
    linked: tuple[str, ...],
    memory_pages: int | None,
    forbidden_plugin: tuple[str, ...],
    log_level: str,
    **switches: bool,
) -> int:
    """Say whether WASM can be linked and instantiated, without running it."""
    settings = configure(log_level, switches)
    with linked_guest(
        wasm,
        dirs=dirs,
        env=env,
        preloads=preloads,
        linked=linked,
        forbidden_plugin=forbidden_plugin,
        limits=Limits(memory_pages=memory_pages),
        settings=settings,
        strict_imports=True,
    ):
        _log.info("Instantiation succeeded.")
    return 0


def _describe(type_: object) -> str:
    if not isinstance(type_, FuncType):
        return type(type_).__name__.removesuffix("Type").lower()
    params, results = (
        " ".join(map(type_name, letters(each))) for each in (type_.params, type_.results)
    )
    return f"({params}) -> ({results})"


TOOLS: dict[str, click.Command] = {
    "compile": _compile,
    "parse": _parse,
    "validate": _validate,
    "instantiate": _instantiate,
}
