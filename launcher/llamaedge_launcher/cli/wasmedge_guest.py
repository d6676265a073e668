"""The guest of `wasmedge run` and `wasmedge instantiate`: what it is linked with."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
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
    return [each for each in map(_directory, texts) if each is not None]


def _directory(text: str) -> Preopen | None:
    """``--dir TEXT`` as WasmEdge's Environ::init reads it: any mode but readonly is none."""
    guest, colon, rest = text.partition(":")
    host, _, mode = rest.partition(":") if colon else (guest, "", "")
    folder = expanded(host)
    problem = next((why for why, has in _PROBLEMS.items() if has(host, guest, folder)), None)
    if problem is not None:
        _log.error("--dir %s is left out: %s", text, problem)
        return None
    if mode not in ("", "readonly"):
        _log.warning("--dir %s: %r is no mode, only readonly is; it can be written", text, mode)
    return Preopen(folder, guest or "/", mode == "readonly")


_PROBLEMS: dict[str, Callable[[str, str, Path], bool]] = {
    "it names no directory of the host": lambda host, _guest, _folder: not host,
    "a path for a guest has to be UTF-8": lambda host, guest, _folder: not _is_text(host + guest),
    "no such directory": lambda _host, _guest, folder: not folder.is_dir(),
    "it cannot be read": lambda _host, _guest, folder: not os.access(folder, os.R_OK | os.X_OK),
}


def _is_text(text: str) -> bool:
    return text == text.encode(errors="replace").decode()


def _linked(texts: Sequence[str]) -> dict[str, Path]:
    for text in texts:
        if ":" not in text:
            raise click.UsageError(f'invalid --module format: "{text}"; expected name:path')
    return {name: expanded(path) for name, path in (text.split(":", 1) for text in texts)}
