"""The server options that `llamaedge run` passes on to the guest."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True)
class ServerOption:
    """An option of llama-api-server, passed on when it is given.

    ``check`` raises ValueError for a wrong value; None is a switch without a value.
    """

    flags: tuple[str, ...]
    metavar: str
    check: Callable[[str], object] | None
    help: str

    @property
    def name(self) -> str:
        """The long name, as the guest is given it."""
        return self.flags[-1]


def _number(kind: Callable[[str], float], low: float, high: float) -> Callable[[str], object]:
    def check(text: str) -> None:
        try:
            value = kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise ValueError(f"{text!r} is not {what}") from None
        if not low <= value <= high:
            limit = f"{low:g} or more" if high == _MAX else f"from {low:g} to {high:g}"
            raise ValueError(f"{text!r} must be {limit}")

    return check


def _pair(check: Callable[[str], object]) -> Callable[[str], object]:
    def check_both(text: str) -> None:
        values = text.split(",")
        if len(values) > 2:
            raise ValueError(f"{text!r} has {len(values)} values; a chat and an embedding one")
        for value in values:
            check(value)

    return check_both


def _name(text: str) -> None:
    if not text.strip():
        raise ValueError("it is empty")


def _choice(*allowed: str) -> Callable[[str], object]:
    def check(text: str) -> None:
        if text not in allowed:
            raise ValueError(f"{text!r} is not one of {', '.join(allowed)}")

    return check


_MAX = 2.0**31 - 1

SERVER_OPTIONS = (
    ServerOption(
        ("-m", "--model-name"), "NAME[,NAME]", _pair(_name),
        "Names of the chat and the embedding model in the API  [default: default]",
    ),
    ServerOption(
        ("-a", "--model-alias"), "NAME[,NAME]", _pair(_name),
        "Names in --nn-preload of the chat and the embedding model  [default: as preloaded]",
    ),
    ServerOption(
        ("-c", "--ctx-size"), "TOKENS[,TOKENS]", _pair(_number(int, 0, _MAX)),
        "Context sizes  [default: 4096,384]",
    ),
    ServerOption(
        ("-b", "--batch-size"), "TOKENS[,TOKENS]", _pair(_number(int, 1, _MAX)),
        "Batch sizes  [default: 512,512]",
    ),
    ServerOption(
        ("-u", "--ubatch-size"), "TOKENS[,TOKENS]", _pair(_number(int, 1, _MAX)),
        "Physical batch sizes  [default: 512,512]",
    ),
    ServerOption(
        ("-p", "--prompt-template"), "NAME[,NAME]", _pair(_name),
        "Prompt templates, for example chatml, llama-3-chat  [default for the demo: chatml]",
    ),
    ServerOption(
        ("-r", "--reverse-prompt"), "TEXT", _name,
        "Stop generating at this text",
    ),
    ServerOption(
        ("-n", "--n-predict"), "TOKENS", _number(int, -1, _MAX),
        "Most tokens to generate for a request; -1 is no limit  [default: 1024]",
    ),
    ServerOption(
        ("-g", "--n-gpu-layers"), "LAYERS", _number(int, 0, _MAX),
        "Layers to run on the GPU  [default: 100]",
    ),
    ServerOption(
        ("--split-mode",), "none|layer|row", _choice("none", "layer", "row"),
        "How to split a model over GPUs  [default: layer]",
    ),
    ServerOption(
        ("--main-gpu",), "NUMBER", _number(int, 0, _MAX),
        "GPU to use",
    ),
    ServerOption(
        ("--tensor-split",), "SHARE[,SHARE...]", _name,
        'Shares of the GPUs, for example "3,2"',
    ),
    ServerOption(
        ("--threads",), "NUMBER", _number(int, 1, _MAX),
        "Threads to compute with  [default: as the machine has CPUs]",
    ),
    ServerOption(
        ("--no-mmap",), "true|false", _choice("true", "false"),
        "Do not map the model file into memory",
    ),
    ServerOption(
        ("--temp",), "NUMBER", _number(float, 0, _MAX),
        "Temperature; 0 always takes the likeliest token  [default: 1.0]",
    ),
    ServerOption(
        ("--top-p",), "NUMBER", _number(float, 0, 1),
        "Sample from the likeliest tokens of this total probability  [default: 1.0]",
    ),
    ServerOption(
        ("--repeat-penalty",), "NUMBER", _number(float, 0, _MAX),
        "Penalty on repeated tokens  [default: 1.1]",
    ),
    ServerOption(
        ("--presence-penalty",), "NUMBER", _number(float, -_MAX, _MAX),
        "Penalty on tokens that occurred  [default: 0.0]",
    ),
    ServerOption(
        ("--frequency-penalty",), "NUMBER", _number(float, -_MAX, _MAX),
        "Penalty on tokens by how often they occurred  [default: 0.0]",
    ),
    ServerOption(
        ("--grammar",), "GBNF", _name,
        "Grammar that the output must follow",
    ),
    ServerOption(
        ("--json-schema",), "SCHEMA", _name,
        "JSON schema that the output must follow",
    ),
    ServerOption(
        ("--llava-mmproj",), "PATH", _name,
        "Projector of a multimodal model",
    ),
    ServerOption(("--include-usage",), "", None, "End every stream with a chunk of token counts"),
    ServerOption(
        ("--strict-model",), "", None,
        "Refuse requests for a model of another name than --model-name says",
    ),
    ServerOption(("--log-prompts",), "", None, "Print prompts"),
    ServerOption(("--log-stat",), "", None, "Print statistics"),
    ServerOption(("--log-all",), "", None, "Print everything"),
)  # fmt: skip


class ServerClickOption(click.Option):
    """A ServerOption on click's command line; its value stays the text that was given."""

    def __init__(self, option: ServerOption) -> None:
        self.server_option = option
        kind: dict[str, Any] = {"is_flag": True}
        if option.check is not None:
            kind = {"metavar": option.metavar, "callback": _checked(option.check)}
        super().__init__(option.flags, help=option.help, **kind)


def _checked(check: Callable[[str], object]) -> Callable[..., str | None]:
    def callback(context: click.Context, param: click.Parameter, value: str | None) -> str | None:
        if value is not None:
            try:
                check(value)
            except ValueError as error:
                raise click.BadParameter(str(error), context, param) from error
        return value

    return callback
