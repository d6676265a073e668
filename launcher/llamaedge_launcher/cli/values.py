"""Values of the command line that are more than text."""

import re
from typing import Any

import click

from ..address import Address, Addresses

_SHIFTS = {"": 0, "K": 10, "M": 20, "G": 30}


class Secret(click.ParamType[str]):
    """Text that is for nobody to read."""

    def is_secret(self, value: str) -> bool:
        """Whether ``value`` is, too: it is unless something else is said."""
        return True


class SocketAddress(click.ParamType[Address]):
    """HOST:PORT."""

    name = "address"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Address:
        """The address that ``value`` says."""
        try:
            return Address.parse(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, context)


class ListenAddresses(click.ParamType[Addresses]):
    """HOST:PORT,... to listen on."""

    name = "addresses"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Addresses:
        """The addresses that ``value`` says."""
        if isinstance(value, Addresses):
            return value
        try:
            return Addresses.parse(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, context)


class SocketAddresses(click.ParamType[str]):
    """HOST:PORT,..., of which each names a port."""

    name = "addresses"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        """The addresses as they were given, without spaces."""
        text = "".join(str(value).split())
        try:
            addresses = [Address.parse(each) for each in text.split(",")]
        except ValueError as error:
            self.fail(f"{text!r}: {error}", param, context)
        if any(not each.port for each in addresses):
            self.fail(f"{text!r}: each needs a port from 1 to 65535", param, context)
        return text


class Whole(click.ParamType[int]):
    """A whole number from ``low`` to ``high``."""

    name = "number"

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._high = high

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> int:
        """The number, in ASCII digits alone."""
        text = str(value)
        digits = text[1:] if self._low < 0 and text.startswith("-") else text
        if not (digits.isascii() and digits.isdigit() and self._low <= int(text) <= self._high):
            limits = f"from {self._low} to {self._high}"
            self.fail(f"{text!r} is not a whole number {limits}", param, context)
        return int(text)


class Size(click.ParamType[int]):
    """A number of bytes, or of K, M or G of them, which are 1024 times as many each."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> int:
        """The size in bytes."""
        found = re.fullmatch(r"([0-9]{1,15})([KMG]?)(?:i?B)?", str(value), re.IGNORECASE)
        if not found or not int(found[1]):
            self.fail(f"{value!r} is not a size such as 500M or 2G", param, context)
        return int(found[1]) << _SHIFTS[found[2].upper()]


class Assignment(click.ParamType[tuple[str, str]]):
    """NAME=VALUE."""

    name = "assignment"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, str]:
        """The name and the value, which may be empty or have further equals signs."""
        name, equals, text = value.partition("=")
        if not name or not equals:
            self.fail(f"{value!r} is not of the form NAME=VALUE", param, context)
        return name, text
