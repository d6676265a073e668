"""Errors in the shape of the API that was asked, whatever raised them.

Keys, origins, bounds, the queue and paths that are none stand before an API's own modules, and
answer with OpenAI's error object.
"""

import json
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
        await self._app(scope, receive, _Telling(told, send) if told else send)


def _told(path: str) -> _Told | None:
    return next((told for start, told in _SHAPES if f"{path}/".startswith(f"{start}/")), None)


class _Telling:
    """An application's ``send``: an error is held until it is whole, and then ``told``."""

    def __init__(self, told: _Told, send: Send) -> None:
        self._told = told
        self._send = send
        self._start: Message | None = None
        self._parts: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        """Send what is no error at once."""
        if message["type"] == "http.response.start" and message["status"] >= _ERROR:
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._tell(self._start, b"".join(self._parts))

    async def _tell(self, start: Message, body: bytes) -> None:
        if error := _openai(body):
            body = json.dumps(self._told(start["status"], error)).encode()
            others = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
            start = {**start, "headers": [*others, (b"content-length", b"%d" % len(body))]}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _openai(body: bytes) -> dict[str, Any] | None:
    """OpenAI's error object in ``body``, None if there is another one or none."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    alone = isinstance(found, dict) and found.keys() == {"error"}
    error = found["error"] if alone else None
    return error if isinstance(error, dict) and "message" in error else None
