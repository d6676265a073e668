"""Keeps web pages out that were not asked in: by their Host, by their Origin, by CORS."""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import ApiError, unread

_SAFE = ("GET", "HEAD", "OPTIONS")
_ANY, _HERE = "*", "localhost"
_PATTERNS = {_ANY: ".*", _HERE: r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"}
"""The origins that a name stands for: all, and those of this machine, whatever their port."""


def _pattern(origins: Sequence[str]) -> str:
    return "|".join(_PATTERNS.get(each, re.escape(each)) for each in origins)


class Origins:
    """An ASGI application that refuses what a web page makes a browser send to ``app``.

    With ``local`` a request must name this machine or the host of one of ``origins``: a page
    may let its own name point here (DNS rebinding). With ``foreign`` false, a request that may
    change or compute something must not come from a page of another origin; a WebSocket never
    may, since no CORS keeps a page from reading what comes.
    """

    def __init__(self, app: ASGIApp, *, origins: Sequence[str], local: bool, foreign: bool) -> None:
        self._app = app
        self._allowed = re.compile(_pattern(origins)) if origins else None
        self._hosts = frozenset(urlsplit(each).hostname for each in origins)
        self._any = _ANY in origins
        self._local = local and not self._any
        self._foreign = foreign

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] in ("http", "websocket"):
            refusal = self._refusal(scope, Headers(scope=scope))
            if refusal is not None:
                await refusal.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> ApiError | None:
        host = headers.get("host", "").lower()
        if self._local and host and not self._names_us(host):
            message = f"the Host {host!r} is not this machine; --cors-origin lets one in"
            return ApiError(403, message, code="host_not_allowed", headers=unread(scope))
        origin = headers.get("origin", "").lower()
        if not origin or self._lets_in(origin) or urlsplit(origin).netloc == host:
            return None
        if scope["type"] == "http" and (self._foreign or scope["method"] in _SAFE):
            return None
        message = f"pages of {origin!r} may not ask; --cors-origin lets them"
        return ApiError(403, message, code="origin_not_allowed", headers=unread(scope))

    def _lets_in(self, origin: str) -> bool:
        return self._allowed is not None and self._allowed.fullmatch(origin) is not None

    def _names_us(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name.endswith(".localhost") or name in self._hosts:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


class Cors(CORSMiddleware):
    """Starlette's, whose answer to a preflight always names the headers that carry a key.

    It names the page's origin, never all, and says nothing to a page that may not ask.
    """

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origin_regex=_pattern(origins),
            allow_methods=("GET", "POST", "DELETE", "OPTIONS"),
            allow_headers=(_ANY,),
            allow_private_network=True,
            expose_headers=(
                *("X-Request-Id", "Retry-After", "X-Unknown-Fields", "X-Dropped-Messages"),
            ),
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Name the headers that a page asks for: ``*`` would not cover Authorization."""
        if not self.is_allowed_origin(request_headers["origin"]):
            return Response(headers={"Vary": "Origin"})
        response = super().preflight_response(request_headers)
        asked = request_headers.get("access-control-request-headers", "")
        names = {each.strip().lower() for each in asked.split(",") if each.strip()}
        names |= {"authorization", "content-type", "x-api-key"}
        response.headers["access-control-allow-headers"] = ", ".join(sorted(names))
        return response
