"""Calls of a guest's function from `wasmedge`'s command line: its arguments and its results.

Source: ToolOnModule in WasmEdge's lib/driver/runtimeTool.cpp, which reads numbers as C++'s stol,
stoll, stof and stod do and prints them as the fmt library does.
"""

import logging
import math
import re
import struct
from collections.abc import Callable, Sequence

import click

from llamaedge_host import Guest
from llamaedge_host.values import Reference, Value, letters, type_name

ABORTED = 134
"""The exit code of a trap, a panic, a limit and a wrong type: 128 + SIGABRT."""

_log = logging.getLogger(__name__)
_INTEGER = re.compile(r"\s*([+-]?\d+)", re.ASCII)
_FLOAT = re.compile(
    r"\s*([+-]?(?:0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?\d+)?"
    r"|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan))",
    re.ASCII | re.IGNORECASE,
)
_LONG = 64  # bits of what stol and stoll read
_OTHERS_NAMES = {"reference": "anyref"}


def call(guest: Guest, words: Sequence[str]) -> int:
    """Call the function named first in ``words`` with the others; WasmEdge's exit code.

    Prints its results to stdout, one a line. Raises what Guest.call raises.
    """
    if not words:
        click.echo("A function name is required when reactor mode is enabled.", err=True)
        return 1
    name, *texts = words
    type_ = guest.export_type(name)
    if type_ is None:
        click.echo(f'Function "{name}" not found in the module export list.', err=True)
        return 1
    params, results = letters(type_.params), letters(type_.results)
    if len(texts) != len(params):
        _log.error("function `%s` expects %d argument(s), got %d", name, len(params), len(texts))
        return 1 if len(texts) < len(params) else ABORTED
    arguments = []
    for index, (letter, text) in enumerate(zip(params, texts, strict=True), 1):
        read = _READERS.get(letter)
        if read is None:
            _log.error(
                "parameter %d of function `%s` is of type %s, which no command line can give",
                index, name, type_name(letter),
            )  # fmt: skip
            return ABORTED
        try:
            arguments.append(read(text))
        except ValueError as error:
            _log.error(
                "argument %r of function `%s` is not of type %s: %s",
                text, name, type_name(letter), error,
            )  # fmt: skip
            return 1
    if name != "_initialize" and guest.export_type("_initialize") is not None:
        guest.call("_initialize")
    answer = guest.call(name, *arguments)
    values = answer if isinstance(answer, list) else [answer] * len(results)
    for letter, value in zip(results, values, strict=True):
        click.echo(_text(letter, value))
    return 0


def _integer(bits: int) -> Callable[[str], int]:
    """Reads a number of ``bits``: one of up to 64 loses its upper bits, as in WasmEdge."""

    def read(text: str) -> int:
        found = _INTEGER.match(text)
        if found is None:
            raise ValueError("it is no integer")
        _warn_of_rest(text, found)
        number = int(found[1])
        if not -(1 << (_LONG - 1)) <= number < 1 << max(bits, _LONG):
            raise ValueError("it is out of range")
        kept = number & ((1 << bits) - 1)
        if bits < _LONG and not -(1 << (bits - 1)) <= number < 1 << bits:
            _log.warning("%s has more than %d bits; the lower ones are %d", found[1], bits, kept)
        return kept

    return read


def _float(layout: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        found = _FLOAT.match(text)
        if found is None:
            raise ValueError("it is no number")
        _warn_of_rest(text, found)
        word = found[1]
        try:
            number = float.fromhex(word) if "x" in word.lower() else float(word)
            if math.isinf(number) and "i" not in word.lower():
                raise OverflowError
            struct.pack(layout, number)
        except OverflowError:
            raise ValueError("it is out of range") from None
        return number

    return read


def _warn_of_rest(text: str, found: re.Match[str]) -> None:
    if text[found.end() :]:
        _log.warning("%r is read as %s", text, found[1])


_READERS: dict[str, Callable[[str], int | float]] = {
    "i": _integer(32), "I": _integer(64), "V": _integer(128), "f": _float("<f"), "F": _float("<d"),
}  # fmt: skip


def _text(letter: str, value: Value) -> str:
    if isinstance(value, Reference) or value is None:
        kind = type_name(letter)
        null = "null " if value is None else ""
        return f"<{null}{_OTHERS_NAMES.get(kind, kind)}>"
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        sign = "-" if math.copysign(1, value) < 0 else ""
        return sign + ("nan" if math.isnan(value) else "inf")
    return _single(value) if letter == "f" else repr(value).removesuffix(".0")


def _single(value: float) -> str:
    """The fewest digits that give this 32-bit number back; an exponent below 1e-4 and from 1e7."""
    digits = next(
        count
        for count in range(9)
        if struct.pack("f", float(f"{value:.{count}e}")) == struct.pack("f", value)
    )
    exponent = int(f"{value:.{digits}e}".partition("e")[2])
    if -4 <= exponent < 7:
        return f"{value:.{max(digits - exponent, 0)}f}"
    return f"{value:.{digits}e}"
