"""Errors in the shape of the API that was asked, whatever raised them.

Keys, origins, bounds, the queue and paths that are none stand before an API's own modules, and
answer with OpenAI's error object.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..whole import Whole, with_body
from . import anthropic, ollama
from .bridge import Json

_Told = Callable[[int, Json], Json]
_ERROR = 400  # the first status that tells of one

_SHAPES: tuple[tuple[str, _Told | None], ...] = (
    ("/api/models", None),
    ("/api/render", None),
    ("/api", lambda _, error: ollama.failure(error)),
    ("/v1/messages", anthropic.failure),
)
"""What paths begin with, and how errors are told there; the first that fits counts."""


class ToldErrors:
    """An ASGI application that tells the errors of ``app`` as the path's API does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        told = _told(scope["path"]) if scope["type"] == "http" else None
        if told is not None:
            send = Whole(send, held=_is_error, tell=partial(_tell, told))
        await self._app(scope, receive, send)


def _told(path: str) -> _Told | None:
    return next((told for start, told in _SHAPES if f"{path}/".startswith(f"{start}/")), None)


def _is_error(start: Message) -> bool:
    return bool(start["status"] >= _ERROR)


def _tell(told: _Told, start: Message, body: bytes) -> tuple[Message, bytes]:
    error = _openai(body)
    if error is None:
        return start, body
    body = json.dumps(told(start["status"], error)).encode()
    return with_body(start, body), body


def _openai(body: bytes) -> dict[str, Any] | None:
    """OpenAI's error object in ``body``, None if there is another one or none."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    alone = isinstance(found, dict) and found.keys() == {"error"}
    error = found["error"] if alone else None
    return error if isinstance(error, dict) and "message" in error else None
