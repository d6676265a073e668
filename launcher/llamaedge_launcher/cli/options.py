"""The server options that `llamaedge run` passes on to the guest.

They are the bundled guest's: its table of options makes server_options.json.
"""

import json
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import click

_UNBOUNDED = 2.0**31 - 1
_SHOWN_DEFAULTS = {
    "--model-alias": "as preloaded",
    "--ctx-size": "the model's own, as far as memory allows",
    "--batch-size": "as suits model and machine",
    "--ubatch-size": "as suits model and machine",
    "--n-gpu-layers": "as many as fit",
}
"""What stands in for a default that the launcher completes."""


@dataclass(frozen=True)
class ServerOption:
    """An option of llama-api-server, passed on when it is given.

    It takes ``count`` values of a ``kind`` at most, separated by commas, or any number of them if
    that is 0. ``metadata`` is the key that it sets.
    """

    long: str
    kind: str
    count: int
    help: str
    short: str = ""
    value: str = ""
    default: str = ""
    metadata: str = ""
    least: float = 0
    most: float = 0
    not_zero: bool = False
    allowed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The long name, as the guest is given it."""
        return f"--{self.long}"

    @property
    def flags(self) -> tuple[str, ...]:
        """The names on the command line, the long one last."""
        return (f"-{self.short}", self.name) if self.short else (self.name,)

    @property
    def is_switch(self) -> bool:
        """Whether it takes no value."""
        return self.kind == "switch"

    @property
    def is_list(self) -> bool:
        """Whether it has a value for each of a server's models."""
        return self.count == 2

    @property
    def described(self) -> str:
        """The help, with the default that is used unless the option is given."""
        shown = _SHOWN_DEFAULTS.get(self.name, self.default)
        return f"{self.help}  [default: {shown}]" if shown else self.help

    def check(self, text: str) -> None:
        """Raise ValueError unless the guest takes ``text``."""
        values = [text] if self.count == 1 else text.split(",")
        if 0 < self.count < len(values):
            raise ValueError(f"{text!r} has {len(values)} values; a chat and an embedding one")
        for value in values:
            _CHECKS[self.kind](self, value)

    def bounded(self, text: str, value: float) -> None:
        """Raise ValueError unless ``value``, which ``text`` says, is within the bounds."""
        if not self.least <= value <= self.most:
            least, most = self.least, self.most
            limit = f"{least:g} or more" if most >= _UNBOUNDED else f"from {least:g} to {most:.7g}"
            raise ValueError(f"{text!r} must be {limit}")
        if self.not_zero and not value:
            raise ValueError(f"{text!r} leaves nothing to do")


def _whole(option: ServerOption, text: str) -> None:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(f"{text!r} is not a whole number")
    option.bounded(text, int(text))


def _number(option: ServerOption, text: str) -> None:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", text, re.IGNORECASE):
        raise ValueError(f"{text!r} is not a number")
    option.bounded(text, float(text))


def _choice(option: ServerOption, text: str) -> None:
    if text not in option.allowed:
        raise ValueError(f"{text!r} is not one of {', '.join(option.allowed)}")


def _name(option: ServerOption, text: str) -> None:
    if not text:
        raise ValueError("a name is empty")


def _text(option: ServerOption, text: str) -> None:
    """Any text will do."""


_CHECKS = {
    "whole": _whole,
    "number": _number,
    "choice": _choice,
    "name": _name,
    "text": _text,
}


def _read() -> tuple[ServerOption, ...]:
    rows = json.loads((files(__package__) / "server_options.json").read_text("utf-8"))
    return tuple(ServerOption(**row | {"allowed": tuple(row.get("allowed", ()))}) for row in rows)


SERVER_OPTIONS = _read()


class ServerClickOption(click.Option):
    """A ServerOption on click's command line; its value stays the text that was given."""

    def __init__(self, option: ServerOption) -> None:
        self.server_option = option
        kind: dict[str, Any] = {"is_flag": True}
        if not option.is_switch:
            kind = {"metavar": "|".join(option.allowed) or option.value, "callback": _checked}
        super().__init__(option.flags, help=option.described, **kind)


def _checked(context: click.Context, param: click.Parameter, value: str | None) -> str | None:
    assert isinstance(param, ServerClickOption)
    option = param.server_option
    values = [value] if value is not None else []
    if value is not None and option.is_list:
        values = value.split(",")  # of several models, each with a server of its own
    for each in values:
        try:
            option.check(each)
        except ValueError as error:
            raise click.BadParameter(str(error), context, param) from error
    return value
