"""The body of a client's request: whole, bounded, and JSON where the endpoint takes JSON."""

import json
import re
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from .errors import ApiError, unread

MAX_BODY = 64 * 1024 * 1024  # bytes; pictures come in base64


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises ApiError 413 past MAX_BODY, ClientDisconnect."""
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > MAX_BODY:
            raise _too_large(scope)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            raise _too_large(scope)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def check_type(scope: Scope) -> None:
    """Raise ApiError 415 if the body is said to be something else than JSON."""
    kind = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
    name = kind.partition(";")[0].strip().lower()
    if name and not re.fullmatch(r"application/([^/]+\+)?json", name):
        message = f"the body is {name!r}; send JSON, with Content-Type: application/json"
        raise ApiError(415, message, code="unsupported_media_type", headers=unread(scope))


def check_json(body: bytes, *fields: str) -> dict[str, Any]:
    """The JSON object. Raise ApiError 400 unless ``body`` is one in UTF-8 that has ``fields``."""
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


def _too_large(scope: Scope) -> ApiError:
    limit = MAX_BODY // (1024 * 1024)
    message = f"the body is larger than {limit} MiB"
    return ApiError(413, message, code="body_too_large", headers=unread(scope))
