"""The options of ``llamaedge run`` for the public server: who gets in, what is kept."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from llamaedge_host import Preopen
from llamaedge_host.paths import expanded

from .. import keys
from ..errors import LauncherError
from ..files import ARCHIVES
from ..settings import DATA_DIR, DRAIN_TIMEOUT, MAX_FILE_SIZE, PAGE, Settings
from ..variables import API_KEY
from . import bounds, keeping, storing
from .values import Secret, Size, Whole

_ORIGIN = re.compile(r"\*|null|localhost|[a-z][a-z0-9+.-]*://[^/\s]+", re.IGNORECASE)


class Key(Secret):
    """An API key, which no message repeats."""

    name = "key"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        """The key, if clients can send it in a header."""
        try:
            return keys.check(value)
        except ValueError as error:
            self.fail(str(error), param, context)


class KeyFile(click.ParamType[list[str]]):
    """A file of API keys, which become the value."""

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> list[str]:
        """The keys in the file that ``value`` names."""
        try:
            return keys.read(Path(value).expanduser())
        except OSError as error:
            self.fail(f"cannot read {value}: {error.strerror}", param, context)
        except ValueError as error:
            self.fail(f"{value}: {error}", param, context)


class Origin(click.ParamType[str]):
    """A web page's origin as browsers send it, null, localhost for this machine's, or * for any."""

    name = "origin"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        """The origin in lower case, as browsers compare it."""
        if not _ORIGIN.fullmatch(value):
            self.fail(
                f"{value!r} is not of the form https://example.com, nor localhost or *",
                param,
                context,
            )
        return str(value).lower()


_OPTIONS = (
    click.option(
        "--api-key",
        "api_keys",
        type=Key(),
        multiple=True,
        metavar="KEY",
        help="A key that clients must show; may be repeated  [default: API_KEY of the environment]",
    ),
    click.option(
        "--api-key-file",
        type=KeyFile(),
        metavar="PATH",
        help="A file of such keys, one a line",
    ),
    click.option(
        "--cors-origin",
        "origins",
        type=Origin(),
        multiple=True,
        metavar="ORIGIN",
        help="A web page that may ask from a browser, such as https://example.com, localhost for"
        " those of this machine, or * for any; may be repeated",
    ),
    click.option(
        "--data-dir",
        metavar="PATH",
        help="Where files, responses and vector stores are kept, for servers of this machine"
        f"  [default: {DATA_DIR}]",
    ),
    *storing.OPTIONS,
    click.option(
        "--max-file-size",
        type=Size(),
        default=MAX_FILE_SIZE,
        metavar="SIZE",
        help="Largest file that may be uploaded  [default: 512M]",
    ),
    click.option(
        "--no-web-ui",
        is_flag=True,
        help="Serve no web page",
    ),
    click.option(
        "--open",
        "opens_page",
        is_flag=True,
        help="Open the web page in a browser when it is ready",
    ),
    click.option(
        "--raw",
        is_flag=True,
        help="Pass on what another server than the bundled one says, its faults too",
    ),
    click.option(
        "--no-slots",
        is_flag=True,
        help="Do not tell at /slots what sequences are doing",
    ),
    click.option(
        "--no-metrics",
        is_flag=True,
        help="Do not tell at /metrics what the server has done",
    ),
    click.option(
        "--drain-timeout",
        type=Whole(0, 86400),
        default=DRAIN_TIMEOUT,
        show_default=True,
        metavar="SECONDS",
        help="How long requests under way may take when the server is told to stop",
    ),
    *keeping.OPTIONS,
    *bounds.OPTIONS,
)


def public_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options, in their order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_settings(given: Mapping[str, Any], environment: dict[str, str]) -> Settings:
    """The settings that were given, and this process shown without its keys and passwords.

    A key for the guest, ``--env API_KEY=...``, is taken out of ``environment``: the public
    server asks for it instead. Without any, API_KEY of this process's environment is it.
    """
    known = [*given["api_keys"], *(given["api_key_file"] or ())]
    inherited = os.environ.get(API_KEY, "")
    try:
        if API_KEY in environment:
            known.append(keys.check(environment.pop(API_KEY)))
        if not known and inherited:
            known.append(keys.check(inherited))
    except ValueError as error:
        raise click.UsageError(f"{API_KEY}: {error}") from error
    stores = storing.take_stores(given)
    if known or storing.has_secret(stores):
        keys.hide()
    if known:
        os.environ.pop(API_KEY, None)
    storing.forget()
    return Settings(
        keys=tuple(known),
        origins=given["origins"],
        data_dir=_data_dir(given["data_dir"]),
        **stores,
        max_file_size=given["max_file_size"],
        drain_timeout=given["drain_timeout"],
        **bounds.take_bounds(given),
        opens_page=given["opens_page"],
        slots=not given["no_slots"],
        metrics=not given["no_metrics"],
        slot_save_path=keeping.slot_save_path(given),
    )


def give_page(
    context: click.Context, settings: Settings, folder: Path | None, *, none: bool
) -> Settings:
    """The settings with the web page's folder: the one named, this package's, or none.

    Raises click.UsageError if the options contradict each other.
    """
    if not none:
        return replace(settings, web_ui=folder or PAGE)
    if folder is not None or settings.opens_page:
        other = "--web-ui" if folder is not None else "--open"
        raise click.UsageError(f"{other} and --no-web-ui exclude each other", context)
    return settings


def _data_dir(given: str | None) -> Path:
    """The folder, which is made now if it was named. Raises LauncherError."""
    if given is None:
        return DATA_DIR
    folder = expanded(given).absolute()
    try:
        folder.joinpath(ARCHIVES).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LauncherError(f"--data-dir: cannot use {folder}: {error.strerror}") from error
    return folder


def give_files(dirs: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    """The guest's directories and the files of ``folder``, which LlamaEdge looks for there.

    They are left out where the guest has a directory of this name, or the folder is not to be
    had; files say then what is wrong when one is uploaded.
    """
    shared = folder / ARCHIVES
    if any(Preopen.parse(each).guest == ARCHIVES for each in dirs) or ":" in str(shared):
        return dirs
    try:
        shared.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return dirs
    return (*dirs, f"{ARCHIVES}:{shared}")
