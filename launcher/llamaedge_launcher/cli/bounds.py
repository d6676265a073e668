"""The options of ``llamaedge run`` for the public server: what it bears, and how it is reached."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from llamaedge_host.paths import expanded

from .. import rlimit, tls
from ..control import HANG_TIMEOUT
from ..errors import LauncherError
from ..proxy.remote.hosts import Hosts
from ..settings import (
    FOR_EVER,
    MAX_BODY_SIZE,
    MAX_CONNECTIONS,
    MAX_QUEUE,
    REQUEST_TIMEOUT,
)
from ..variables import KEY_PASSWORD
from .values import Size, Whole

_OTHERS = 128  # descriptors that are no connections
_EACH = 2  # descriptors of one: the client's and the guest's
_BODIES = 8  # of the largest size that are held at once


class Proxies(click.ParamType[str]):
    """Addresses and networks, separated by commas, or * for any."""

    name = "addresses"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        """The addresses as they were given."""
        for each in str(value).split(","):
            try:
                if each.strip() != "*":
                    ipaddress.ip_network(each.strip())
            except ValueError as error:
                message = f"{each.strip()!r} is neither an address, nor a network, nor *"
                raise click.BadParameter(f"{message}: {error}", context, param) from error
        return str(value)


class ImageHosts(click.ParamType[str]):
    """Hosts that pictures may come from, separated by commas, or any."""

    name = "hosts"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        """The hosts as they were given."""
        try:
            Hosts(str(value).split(","))
        except ValueError as error:
            self.fail(str(error), param, context)
        return str(value)


class Root(click.ParamType[str]):
    """A path to put before others."""

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> str:
        """The path with a slash before it and none after it."""
        path = "/" + str(value).strip("/")
        if not path.isascii() or not path.isprintable() or set(path) & set(" ?#%"):
            self.fail(f"{value!r} is not a path such as /llm", param, context)
        return "" if path == "/" else path


OPTIONS = (
    click.option(
        "--max-queue",
        type=Whole(0, 1_000_000),
        default=MAX_QUEUE,
        show_default=True,
        metavar="NUMBER",
        help="Requests that may wait for their turn; more get 429, which says when to try again",
    ),
    click.option(
        "--models-max",
        type=Whole(1, 1000),
        metavar="NUMBER",
        help="Models that are loaded at once; for one more, the one that was used least recently"
        " is unloaded  [default: as many as memory holds]",
    ),
    click.option(
        "--keep-alive",
        "--sleep-idle-seconds",
        "keep_alive",
        type=Whole(FOR_EVER, 31_536_000),
        default=FOR_EVER,
        show_default=True,
        metavar="SECONDS",
        help="How long a model that is not used stays loaded; -1 is for ever (the second name is"
        " llama.cpp's)",
    ),
    click.option(
        "--request-timeout",
        type=Whole(0, 86400),
        default=REQUEST_TIMEOUT,
        show_default=True,
        metavar="SECONDS",
        help="How long a request may wait and be answered in all: then it gets 504, or a stream"
        " that has begun an error; 0 for any time",
    ),
    click.option(
        "--hang-timeout",
        type=Whole(3, 86400),
        default=HANG_TIMEOUT,
        show_default=True,
        metavar="SECONDS",
        help="How long the server behind may show no sign of life before it is replaced",
    ),
    click.option(
        "--max-body-size",
        type=Size(),
        default=MAX_BODY_SIZE,
        metavar="SIZE",
        help="Largest request but for files; all that are held at once take 8 times as much"
        "  [default: 64M]",
    ),
    click.option(
        "--max-connections",
        type=Whole(1, 1_000_000),
        metavar="NUMBER",
        help="Connections at once; the oldest idle one gives way"
        f"  [default: {MAX_CONNECTIONS}, or what the system allows]",
    ),
    click.option(
        "--image-urls",
        type=ImageHosts(),
        metavar="HOST[,HOST...]",
        help="Fetch pictures that requests name by URL from these hosts: example.org,"
        " *.example.org, example.org:8443, any; of private addresses only those named themselves,"
        " with their port, such as 192.168.1.5:8000  [default: none]",
    ),
    click.option(
        "--media-path",
        metavar="PATH",
        help="A folder below which requests may name pictures by file:// URLs  [default: none]",
    ),
    click.option(
        "--ssl-certfile",
        metavar="PATH",
        help="Serve HTTPS with this certificate and its chain, a PEM file",
    ),
    click.option(
        "--ssl-keyfile",
        metavar="PATH",
        help="The certificate's key, if it is in a file of its own; its password is"
        f" {KEY_PASSWORD} of the environment",
    ),
    click.option(
        "--root-path",
        type=Root(),
        metavar="PATH",
        help="The path below which a reverse proxy serves this server",
    ),
    click.option(
        "--forwarded-allow-ips",
        type=Proxies(),
        metavar="ADDRESSES",
        help="Reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, separated"
        " by commas, * for any",
    ),
)


def take_bounds(given: Mapping[str, Any]) -> dict[str, Any]:
    """What of Settings these options say. Raises click.UsageError and LauncherError."""
    return {
        "max_queue": given["max_queue"],
        "models_max": given["models_max"] or 0,
        "keep_alive": given["keep_alive"],
        "request_timeout": given["request_timeout"],
        "hang_timeout": given["hang_timeout"],
        "max_body_size": given["max_body_size"],
        "max_body_memory": _BODIES * given["max_body_size"],
        "max_connections": _connections(given["max_connections"]),
        "tls": _tls(given["ssl_certfile"], given["ssl_keyfile"]),
        "root_path": given["root_path"] or "",
        "image_urls": tuple(given["image_urls"].split(",")) if given["image_urls"] else (),
        "media_path": _media_path(given["media_path"]),
        "forwarded": given["forwarded_allow_ips"] or "",
    }


def _media_path(given: str | None) -> Path | None:
    if given is None:
        return None
    folder = expanded(given).absolute()
    if not folder.is_dir():
        raise LauncherError(f"--media-path: {folder} is not a folder")
    return folder


def _connections(given: int | None) -> int:
    allowed = rlimit.current()
    most = MAX_CONNECTIONS if allowed is None else max((allowed - _OTHERS) // _EACH, 1)
    if given is None:
        return min(MAX_CONNECTIONS, most)
    if allowed is not None and given > most:
        message = f"--max-connections {given} takes {_EACH * given + _OTHERS} descriptors"
        raise click.UsageError(f"{message}, and this process may open {allowed} (ulimit -n)")
    return given


def _tls(certificate: str | None, key: str | None) -> tls.Tls | None:
    """The certificate and its key, which have been read once."""
    if certificate is None:
        if key is not None:
            raise click.UsageError("--ssl-keyfile needs --ssl-certfile beside it")
        return None
    keyfile: Path | None = None if key is None else expanded(key)
    found = tls.Tls(expanded(certificate), keyfile, tls.take_password())
    found.context()
    return found
