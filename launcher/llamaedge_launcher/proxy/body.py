"""The body of a client's request: whole, bounded, and JSON where the endpoint takes JSON."""

import json
import re
from contextlib import suppress
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import ApiError, retry_after, unread
from .gzipped import gunzipped

MAX_VALUES = 1_000_000
"""Values of a JSON body, which take much more memory than their text."""
_GZIP = ("gzip", "x-gzip")
_FORM = "application/x-www-form-urlencoded"
_MANY = 1024 * 1024  # bytes, which cannot hold more


class Room:
    """What bodies may take: ``most`` bytes each, ``together`` bytes all that are held at once.

    They are JSON with pictures in base64; files have a bound of their own.
    """

    def __init__(self, *, most: int, together: int) -> None:
        self.most = most
        self.left = together


class Bodies:
    """An ASGI application whose ``app`` reads bodies for which there is ``room``.

    A body counts until its request is answered, since it may have to be sent once more. Nobody
    is answered who goes away before the body is read.
    """

    def __init__(self, app: ASGIApp, *, room: Room) -> None:
        self._app = app
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        place = _Place(self._room)
        try:
            with suppress(ClientDisconnect):
                await self._app({**scope, "place": place}, receive, send)
        finally:
            place.leave()


class _Place:
    """What the body of one request takes of ``room``."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken = 0
        self.most = room.most

    def take(self, size: int, scope: Scope) -> None:
        """Let the body be ``size`` bytes longer. Raises ApiError 413 and 503."""
        self.check(self._taken + size, scope)
        if size > self._room.left:
            headers = [*retry_after(1), *unread(scope)]
            message = "the requests that are being answered are all that the memory holds"
            raise ApiError(503, message, code="overloaded", headers=headers)
        self._room.left -= size
        self._taken += size

    def check(self, size: int, scope: Scope) -> None:
        """Raise ApiError 413 for a body of ``size`` bytes, if that is too many."""
        if size > self.most:
            text = f"{self.most >> 20} MiB" if self.most >= 1 << 20 else f"{self.most} bytes"
            message = f"the body is larger than {text}, which --max-body-size says"
            raise ApiError(413, message, code="body_too_large", headers=unread(scope))

    def leave(self) -> None:
        """The body is not held any more."""
        self._room.left += self._taken
        self._taken = 0


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises ApiError 413 for one too large, 503, and ClientDisconnect.

    Of a request that is read once more, as another one that was made of it, only that counts.
    """
    place: _Place = scope["place"]
    place.leave()
    for name, value in scope["headers"]:
        if name == b"content-length":
            place.check(int(value), scope)
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        place.take(len(part), scope)
        parts.append(part)
        if not message.get("more_body", False):
            return _plain(b"".join(parts), place, scope)


def _plain(body: bytes, place: _Place, scope: Scope) -> bytes:
    """``body`` without its coding. Raises ApiError 400, 413, 415 and 503."""
    coding = dict(scope["headers"]).get(b"content-encoding", b"").decode("latin-1").strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in _GZIP:
        message = f"the body is coded as {coding!r:.60}; send it as it is, or as gzip"
        headers = [(b"accept-encoding", b"gzip"), *unread(scope)]
        raise ApiError(415, message, code="unsupported_media_type", headers=headers)
    try:
        return gunzipped(body, lambda more: place.take(more, scope))
    except ValueError as error:
        raise _invalid(str(error)) from error


async def read_json(
    scope: Scope, receive: Receive, *fields: str, forms: bool = False
) -> dict[str, Any]:
    """The body, a JSON object that has ``fields``; ``forms`` is check_type()'s.

    Raises ApiError as read_body(), check_type() and check_json() do, and ClientDisconnect.
    """
    check_type(scope, forms=forms)
    return check_json(await read_body(scope, receive), *fields)


def check_type(scope: Scope, *, forms: bool = False) -> None:
    """Raise ApiError 415 if the body is said to be something else than JSON.

    With ``forms`` it may be said to be a form, which curl says of everything unless it is told
    otherwise. A web page may not: a browser sends a form to any server, but with the page's origin.
    """
    headers = dict(scope["headers"])
    kind = headers.get(b"content-type", b"").decode("latin-1")
    name = kind.partition(";")[0].strip().lower()
    if forms and name == _FORM and b"origin" not in headers:
        return
    if name and not re.fullmatch(r"application/([^/]+\+)?json", name):
        message = f"the body is {name!r}; send JSON, with Content-Type: application/json"
        raise ApiError(415, message, code="unsupported_media_type", headers=unread(scope))


def check_json(body: bytes, *fields: str) -> dict[str, Any]:
    """The JSON object. Raise ApiError 400 unless ``body`` is one in UTF-8 that has ``fields``."""
    if len(body) > _MANY and sum(map(body.count, (b"[", b"{", b","))) > MAX_VALUES:
        raise _invalid(f"it has more than {MAX_VALUES} values")
    try:
        value = json.loads(body.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise _invalid(f"it is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")
        where = f"line {error.lineno} column {error.colno}"
        raise _invalid(f"{what} at {where}" if body.strip() else "it is empty") from error
    except (ValueError, RecursionError) as error:
        raise _invalid(str(error)) from error
    if not isinstance(value, dict):
        raise _invalid("it must be an object")
    for field in fields:
        if field not in value:
            message = f"the request has no {field!r}"
            raise ApiError(400, message, code="missing_required_parameter", param=field)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _invalid(reason: str) -> ApiError:
    return ApiError(400, f"the body is not a JSON object: {reason}", code="invalid_json")
