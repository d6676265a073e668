"""Values of the command line that are more than text."""

from typing import Any

import click

from ..address import Address


class SocketAddress(click.ParamType[Address]):
    """HOST:PORT."""

    name = "address"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Address:
        """click's call."""
        try:
            return Address.parse(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, context)


class Assignment(click.ParamType[tuple[str, str]]):
    """NAME=VALUE."""

    name = "assignment"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, str]:
        """click's call."""
        name, equals, text = value.partition("=")
        if not name or not equals:
            self.fail(f"{value!r} is not of the form NAME=VALUE", param, context)
        return name, text
