"""Options of ``llamaedge run`` by their keys, as in its configuration file."""

from collections.abc import Iterable, Mapping
from typing import Any

import click
from click.core import ParameterSource

from .. import log
from ..cli import llamaedge
from ..cli.config import command_line, parameters
from ..cli.plan import BUNDLED, PARALLEL, TURNS, Plan, web_folder
from ..cli.public import give_page
from ..cli.run import prepare, public_settings, run, server_options
from ..errors import LauncherError
from ..settings import Settings
from ..variables import API_KEY

Options = Mapping[str, Any]

OF_SERVE = {
    "socket-addr": "http_options of Serve's configuration says where it listens",
    "host": "http_options of Serve's configuration says where it listens",
    "port": "http_options of Serve's configuration says where it listens",
    "open": "a cluster has no browser",
    "max-connections": "Serve's proxies have the connections",
    "ssl-certfile": "http_options of Serve's configuration has certificates",
    "ssl-keyfile": "http_options of Serve's configuration has certificates",
    "forwarded-allow-ips": "Serve's proxies have the connections",
    "slot-save-path": "any replica may get a request, so that clients know no slot's number;"
    " cache-dir keeps caches",
}
"""Options that mean nothing here, each with the reason."""

OF_FRONTS = (
    *("api-key", "api-key-file", "cors-origin", "data-dir", "max-file-size", "no-web-ui", "web-ui"),
    *("store-files", "store-records", "request-timeout", "max-body-size", "root-path"),
    *("image-urls", "media-path", "no-slots", "no-metrics"),
)
"""Options that are the fronts' and not a server's."""

OF_ALL = ("guest", "raw", "strict-model")
"""Options of servers by which fronts know how these answer."""

_SWITCHED = {"true": True, "false": False}


def check(options: Options, *, of_server: bool) -> None:
    """Raise ValueError for options that there are not, or that have no place here."""
    _check_place(options, of_server=of_server)
    context = _context(_anywhere(options))
    given = [key for key, param in parameters(run).items() if _is_given(context, param)]
    _check_place(given, of_server=of_server)
    if of_server and API_KEY in dict(context.params["environment"]):
        raise ValueError(f"env: {API_KEY} is for all servers; it stands beside 'servers'")
    if context.params["max_queue"] == 0:
        raise ValueError("max-queue: Ray Serve lets one request wait at least; 1 or more will do")


def _check_place(keys: Iterable[str], *, of_server: bool) -> None:
    for key in keys:
        if key in OF_SERVE:
            raise ValueError(f"{key}: {OF_SERVE[key]}")
        if of_server and key in (*OF_FRONTS, *OF_ALL):
            raise ValueError(f"{key} is for all servers; it stands beside 'servers'")


def _is_given(context: click.Context, param: click.Parameter) -> bool:
    """Whether it is said, here or in the file that ``config`` names."""
    return context.get_parameter_source(str(param.name)) is not ParameterSource.DEFAULT


def _anywhere(options: Options) -> dict[str, Any]:
    """Those that can be judged on any machine: keys lie where the fronts are."""
    return {key: value for key, value in options.items() if key != "api-key-file"}


def for_fronts(options: Options) -> tuple[Settings, bool]:
    """What the fronts are told, and whether guests serve nothing but the API.

    Raises LauncherError.
    """
    context = _context(options)
    log.configure(context.params["log_level"] or "info", context.params["log_format"])
    settings = public_settings(context, dict(context.params["environment"]))
    given = {option.name: value for option, value in server_options(context).items()}
    settings = give_page(
        context, settings, web_folder(given), none=bool(context.params["no_web_ui"])
    )
    return settings, context.params["guest"] == BUNDLED


def for_server(options: Options) -> tuple[Plan, Settings]:
    """What a server is to run; a model that is not on this machine is fetched.

    Raises LauncherError.
    """
    context = _context({key: value for key, value in options.items() if key not in OF_FRONTS})
    context.params |= _unsaid(OF_FRONTS)  # a file that 'config' names may say them
    given = {name: value for name, value in context.params.items() if name != "parent"}
    try:
        return prepare(context, **given)
    except click.UsageError as error:
        raise LauncherError(error.format_message()) from error


def _unsaid(keys: Iterable[str]) -> dict[str, Any]:
    """The values of options that nobody gives."""
    known, bare = parameters(run), _context({}).params
    return {name: bare[name] for name in (str(known[key].name) for key in keys)}


def at_once(options: Options) -> int:
    """Requests that a replica with these options answers at once."""
    given = _context(_anywhere(options)).params
    bundled = given["guest"] == BUNDLED
    each = TURNS * (given["parallel"] or PARALLEL) if bundled else 1
    return int(given["instances"]) * each


def waiting(options: Options) -> tuple[int, float]:
    """Requests that may wait, and the seconds that those under way have when a replica leaves."""
    given = _context(_anywhere(options)).params
    return given["max_queue"], given["drain_timeout"]


def _context(options: Options) -> click.Context:
    """The command's, with its parameters. Raises ValueError."""
    known = parameters(run)
    given = {
        key: _SWITCHED.get(str(value), value)
        if getattr(known.get(key), "is_flag", False)
        else value
        for key, value in options.items()
        if key != "config"
    }
    words = command_line(run, given)
    if "config" in options:
        words.append(f"--config={options['config']}")
    try:
        return run.make_context("llamaedge run", words, **llamaedge.context_settings)
    except click.UsageError as error:
        raise ValueError(error.format_message()) from error
