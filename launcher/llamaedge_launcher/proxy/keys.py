"""Lets in requests that show a key, before anything of their body is read."""

import hmac
from collections.abc import Iterable
from hashlib import sha256
from pathlib import PurePosixPath
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import ApiError, unread

_PRIVATE = ("api", "v1")
_SHOWN_IN = (b"authorization", b"x-api-key", b"sec-websocket-protocol")
_SUBPROTOCOL = "bearer."
_PAGE = frozenset(
    (
        "css",
        "gif",
        "html",
        "ico",
        "jpeg",
        "jpg",
        "js",
        "json",
        "map",
        "png",
        "svg",
        "ttf",
        "txt",
        "wasm",
        "webmanifest",
        "webp",
        "woff",
        "woff2",
    )
)


class Keys:
    """An ASGI application that asks for one of ``keys`` in front of ``app``.

    The key is an Authorization header's bearer token or an X-Api-Key header; ``app`` sees
    neither header. A WebSocket's may also be offered as a subprotocol, ``bearer.KEY`` with what
    subprotocols cannot hold percent-encoded. /health is for all, and with ``page`` the files of
    a guest's web page are.
    """

    def __init__(self, app: ASGIApp, *, keys: Iterable[str], page: bool) -> None:
        self._app = app
        self._known = [_digest(key.encode()) for key in keys]
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] in ("http", "websocket"):
            offered = scope.get("subprotocols", ())
            shown = [_digest(key) for key in (*_keys(scope["headers"]), *_offered(offered))]
            if not (self._is_public(scope) or self._knows(shown)):
                await _refusal(scope, shown=bool(shown)).response()(scope, receive, send)
                return
            headers = [pair for pair in scope["headers"] if pair[0] not in _SHOWN_IN]
            scope = {**scope, "headers": headers}
            if offered:
                others = [each for each in offered if not each.startswith(_SUBPROTOCOL)]
                scope["subprotocols"] = others
        await self._app(scope, receive, send)

    def _knows(self, shown: list[bytes]) -> bool:
        """Compares all, so that the time tells nothing."""
        return sum(hmac.compare_digest(a, b) for a in shown for b in self._known) > 0

    def _is_public(self, scope: Scope) -> bool:
        if scope.get("method") not in ("GET", "HEAD"):
            return False
        if scope["path"] == "/health":
            return True
        if not self._page:
            return False
        parts = [part for part in scope["path"].replace("\\", "/").split("/") if part]
        if parts and parts[0].lower() in _PRIVATE:
            return False
        return not parts or PurePosixPath(parts[-1]).suffix[1:].lower() in _PAGE


def _digest(key: bytes) -> bytes:
    return sha256(key).digest()


def _keys(headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    found = []
    for name, value in headers:
        if name == b"x-api-key":
            found.append(value.strip())
        elif name == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            if scheme.lower() == b"bearer":
                found.append(token.strip())
    return [each for each in found if each]


def _offered(subprotocols: Iterable[str]) -> list[bytes]:
    shown = [each for each in subprotocols if each.startswith(_SUBPROTOCOL)]
    return [unquote_to_bytes(each.removeprefix(_SUBPROTOCOL)) for each in shown]


def _refusal(scope: Scope, *, shown: bool) -> ApiError:
    if shown:
        message = "the API key is not one of this server's"
    else:
        message = "this server asks for an API key: send it as Authorization: Bearer KEY"
    headers = [(b"www-authenticate", b"Bearer"), *unread(scope)]
    return ApiError(401, message, code="invalid_api_key", headers=headers)
