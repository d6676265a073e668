"""`wasmedge`'s command line, read as WasmEdge's own parser reads it.

Source: WasmEdge's lib/po/argument_parser.cpp.
"""

import re
from collections.abc import Sequence
from typing import Any

import click

_NUMBER = re.compile(r"\s*[+-]?\d+", re.ASCII)


class Integer(click.ParamType[int]):
    """A number as C's strtol takes it, of 32 bits; a negative one counts from 2^32 down."""

    name = "number"

    def __init__(self, low: int = -(2**31), high: int = 2**32 - 1) -> None:
        self._low = low
        self._high = high

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> int:
        """The number that ``value`` is. Raises click.BadParameter."""
        text = str(value)
        if not _NUMBER.fullmatch(text):
            self.fail(f"{text!r} is not a whole number", param, context)
        number = int(text)
        if not self._low <= number <= self._high:
            self.fail(f"{text} is not from {self._low} to {self._high}", param, context)
        return number if self._low == 0 else number % 2**32


def read_options(
    words: Sequence[str], command: click.Command
) -> tuple[list[str], list[str], list[str]]:
    """The options of ``command`` at the start of ``words``; the rest; and options without a value.

    The first word that is no option begins the rest, as does ``--``, which stays in it. An
    option that needs a value is joined with its own; one that is followed by another option has
    none, which WasmEdge takes for its default.
    """
    valued = {
        name
        for each in command.params
        if isinstance(each, click.Option) and not each.is_flag
        for name in each.opts
    }
    options: list[str] = []
    without: list[str] = []
    rest = list(words)
    while rest and _is_option(rest[0]) and rest[0] != "--":
        word = rest.pop(0)
        if word in valued and rest:
            if _is_option(rest[0]):
                without.append(word)
                continue
            word = f"{word}={rest.pop(0)}"
        options.append(word)
    return options, rest, without


def _is_option(word: str) -> bool:
    return len(word) >= 2 and word[0] == "-"
