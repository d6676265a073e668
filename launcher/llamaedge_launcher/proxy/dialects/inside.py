"""Questions that an endpoint asks another one of this server."""

import asyncio
import json
from typing import Any

from starlette.types import ASGIApp, Message

from ..body import Bodies, Room
from ..errors import ApiError
from ..record import Record

_ROOM = 65536  # bytes of a question


async def ask(app: ASGIApp, path: str, body: dict[str, Any] | None = None) -> Any:
    """The JSON that ``app`` answers to GET ``path``, or to POST where there is a ``body``.

    Raises ApiError, and what ``app`` raises.
    """
    method = "GET" if body is None else "POST"
    given: list[Message] = [
        {
            "type": "http.request",
            "body": b"" if body is None else json.dumps(body).encode(),
            "more_body": False,
        }
    ]
    parts: list[bytes] = []
    status = 0

    async def receive() -> Message:
        return given.pop() if given else await _never()

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    target = {"path": path, "raw_path": path.encode(), "query_string": b"", "root_path": ""}
    record = Record(method, path, "", "")
    scope = {"type": "http", "method": method, "headers": [], "record": record, **target}
    await Bodies(app, room=Room(most=_ROOM, together=_ROOM))(scope, receive, send)
    found = json.loads(b"".join(parts))
    if status != 200:
        raise ApiError(status, found["error"]["message"], code=found["error"].get("code"))
    return found


async def _never() -> Message:
    """The client of such a question does not go away."""
    await asyncio.Event().wait()
    raise AssertionError
