"""The guest of `wasmedge run` and `wasmedge instantiate`: what it is linked with."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from llamaedge_host import Guest, NeuralNetwork, Preload, PreloadError, Preopen
from llamaedge_host.paths import expanded

from .wasmedge_arguments import Integer

_log = logging.getLogger(__name__)

_OPTIONS = (
    click.option("--dir", "dirs", multiple=True, metavar="[GUEST:]HOST[:readonly]",
                 help="Give the guest a directory."),
    click.option("--env", "env", multiple=True, metavar="NAME=VALUE",
                 help="Set one of the guest's environment variables."),
    click.option("--nn-preload", "preloads", multiple=True, metavar="NAME:ENCODING:TARGET:PATH",
                 help="Name a model for wasi-nn, as in default:GGML:AUTO:model.gguf."),
    click.option("--module", "linked", multiple=True, metavar="NAME:PATH",
                 help="Link with a further module."),
    click.option("--memory-page-limit", "memory_pages", type=Integer(), metavar="PAGES",
                 help="The guest's memory at most, in pages of 64 KiB."),
)  # fmt: skip


def link_options(command: Any) -> Any:
    """Directories, environment, models, further modules, memory."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextmanager
def linked_guest(
    wasm: Path,
    *,
    dirs: Sequence[str],
    env: Sequence[str],
    preloads: Sequence[str],
    linked: Sequence[str],
    forbidden_plugin: Sequence[str],
    **options: Any,
) -> Iterator[Guest]:
    """The guest ``wasm`` with what link_options gave; ``options`` are Guest's own."""
    nn = None if "wasi_nn" in forbidden_plugin else NeuralNetwork(_preloads(preloads))
    try:
        with Guest(
            wasm, dirs=_directories(dirs), env=env, linked=_linked(linked), nn=nn, **options
        ) as guest:
            yield guest
    finally:
        if nn is not None:
            nn.close()


def _preloads(texts: Sequence[str]) -> list[Preload]:
    found = []
    for text in texts:
        try:
            found.append(Preload.parse(text))
        except PreloadError as error:
            _log.error("[WASI-NN] %s", error)
    return found


def _directories(texts: Sequence[str]) -> list[Preopen]:
    """The directories that there are; what WasmEdge logs and leaves out is left out here too."""
    found = [each for each in map(_directory, texts) if each is not None]
    for each in found:
        if not _opens(each.host):
            _log.error("--dir %s:%s is left out: no such directory", each.guest, each.host)
    return [each for each in found if _opens(each.host)]


def _directory(text: str) -> Preopen | None:
    """``--dir TEXT`` as WasmEdge's Environ::init reads it: any mode but readonly is none."""
    guest, colon, rest = text.partition(":")
    host, _, mode = rest.partition(":")
    if mode not in ("", "readonly"):
        _log.warning("--dir %s: %r is no mode, only readonly is; it can be written", text, mode)
    if not colon:
        host = guest
    if not host:
        _log.error("--dir %s is left out: it names no directory of the host", text)
        return None
    return Preopen(expanded(host), guest or "/", mode == "readonly")


def _opens(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)


def _linked(texts: Sequence[str]) -> dict[str, Path]:
    for text in texts:
        if ":" not in text:
            raise click.UsageError(f'invalid --module format: "{text}"; expected name:path')
    return {name: expanded(path) for name, path in (text.split(":", 1) for text in texts)}
