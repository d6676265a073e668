"""The command line of ``llamaedge run`` where it is written as for other programs.

``--dir .:. --nn-preload ... llama-api-server.wasm --prompt-template ...`` is WasmEdge's: the
first .wasm file is the guest, and what follows is the guest's. ``-m model.gguf -ngl 99 -c 4096`` is
llama.cpp's.
"""

from collections.abc import Iterator, Sequence

import click

from .llama_cpp import translated

HOST_ONLY = {
    "--nn-preload", "--guest", "--dir", "--env", "--instances", "--parallel", "--log-level",
    "--model", "--hf-repo", "--parent-fd", "--config", "--print-config",
    "--log-format", "--host",
}  # fmt: skip
"""What the guest's part of a line cannot name: there they are the guest's own options."""


def split(command: click.Command, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """``words`` as ``llamaedge run`` takes them, and what only the guest knows of them.

    Raises click.UsageError for a guest that is named twice, and for what is not to be had.
    """
    options = _options(command)
    words = translated(words, options)
    number = _guest(options, words)
    if number is None:
        return words, []
    before, guest, after = words[:number], words[number], words[number + 1 :]
    if any(word.partition("=")[0] == "--guest" for word in before):
        raise click.UsageError(f"--guest and {guest} are two servers; name one")
    served = {name: value for name, value in options.items() if name not in HOST_ONLY}
    known: list[str] = []
    other: list[str] = []
    for group in _groups(served, after):
        (known if _name(served, group[0]) in served else other).extend(group)
    return [*before, "--guest", guest, *known], other


def _options(command: click.Command) -> dict[str, bool]:
    """The names of the options, and whether a value follows."""
    return {
        name: not param.is_flag and not param.count
        for param in command.params
        if isinstance(param, click.Option)
        for name in param.opts
    }


def _guest(options: dict[str, bool], words: Sequence[str]) -> int | None:
    """The place of the first word that is a .wasm file and no option's value."""
    at = 0
    for group in _groups(options, words):
        if group[0].endswith(".wasm") and not group[0].startswith("-"):
            return at
        at += len(group)
    return None


def _groups(options: dict[str, bool], words: Sequence[str]) -> Iterator[Sequence[str]]:
    """``words``, each option together with its value."""
    at = 0
    while at < len(words):
        name, equals, _ = words[at].partition("=")
        length = 2 if options.get(name) and not equals else 1
        yield words[at : at + length]
        at += length


def _name(options: dict[str, bool], word: str) -> str:
    """The option that ``word`` gives: -c of -c512 too."""
    name = word.partition("=")[0]
    if name in options or not word.startswith("-") or word.startswith("--"):
        return name
    return word[:2]
