"""The options of ``llamaedge run`` for stores that several machines see."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import click

from ..storage import urls
from .values import Secret

_POSTGRES = ("postgresql", "postgres")
_SQLITE = "SQLite's databases are in --data-dir, where records are unless this option is given"
_FOLDER = (
    "a folder of one machine is what --data-dir says; one that all machines have mounted is"
    " file:///PATH"
)


class StoreUrl(Secret):
    """A URL that ``check`` finds nothing wrong with, or ValueError; no message has its password."""

    name = "url"

    def __init__(self, check: Callable[[str], None]) -> None:
        self._check = check

    def is_secret(self, value: str) -> bool:
        """Whether it has a password."""
        return urls.is_secret(value)

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        """The URL as it was given."""
        try:
            self._check(str(value))
        except ValueError as error:
            self.fail(f"{urls.shown(str(value))!r}: {error}", param, context)
        return str(value)


def _check_files(url: str) -> None:
    if not urls.scheme(url):
        raise ValueError(f"it is no URL such as s3://BUCKET/FOLDER; {_FOLDER}")


def _check_records(url: str) -> None:
    scheme = urls.scheme(url)
    if scheme == "sqlite":
        raise ValueError(_SQLITE)
    if scheme not in _POSTGRES:
        raise ValueError("it is not of the form postgresql://USER@HOST:PORT/NAME")
    if not urls.is_split(url):
        raise ValueError("in a password @ is written %40, / is %2F and : is %3A")


OPTIONS = (
    click.option(
        urls.FILES,
        type=StoreUrl(_check_files),
        metavar="URL",
        help="Where files are kept for servers on several machines: s3://BUCKET/FOLDER, or any"
        " other that fsspec knows, such as file:///PATH of a folder that all have mounted"
        f"  [default: {urls.VARIABLES[urls.FILES]} of the environment, else --data-dir]",
    ),
    click.option(
        urls.RECORDS,
        type=StoreUrl(_check_records),
        metavar="URL",
        help="Where responses, vector stores and what is known of --store-files are kept:"
        " postgresql://USER@HOST:PORT/NAME"
        f"  [default: {urls.VARIABLES[urls.RECORDS]} of the environment, else SQLite below"
        " --data-dir]",
    ),
)


def take_stores(given: Mapping[str, Any]) -> dict[str, Any]:
    """What of Settings these options say, or the environment. Raises click.UsageError."""
    return {
        "store_files": given["store_files"] or _inherited(urls.FILES, _check_files),
        "store_records": given["store_records"] or _inherited(urls.RECORDS, _check_records),
    }


def has_secret(stores: Mapping[str, str | None]) -> bool:
    """Whether the URLs that were taken have a password, or those of the environment."""
    inherited = [os.environ.get(name) for name in urls.VARIABLES.values()]
    return any(urls.is_secret(each) for each in (*stores.values(), *inherited) if each)


def forget() -> None:
    """Leave the variables of the environment to no other process."""
    for name in urls.VARIABLES.values():
        os.environ.pop(name, None)


def _inherited(option: str, check: Callable[[str], None]) -> str | None:
    variable = urls.VARIABLES[option]
    url = os.environ.get(variable, "")
    if not url:
        return None
    try:
        check(url)
    except ValueError as error:
        raise click.UsageError(f"{variable}: {urls.shown(url)!r}: {error}") from error
    return url
