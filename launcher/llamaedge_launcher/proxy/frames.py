"""An answer over HTTP as the text frames of a WebSocket."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import Message

from .errors import ApiError
from .events import DONE, Events

Say = Callable[[bytes], Awaitable[None]]

_ERROR = b'{"error"'


class Frames:
    """Takes what an ASGI application sends, and gives ``say`` a frame for each event of a stream.

    An answer that is no stream is one frame. With ``id_`` every frame has it as ``request_id``.
    The last frame is the end of a stream, an error object, or the whole answer; ``on_last`` is
    called before it.
    """

    def __init__(self, say: Say, id_: str | None, on_last: Callable[[], None]) -> None:
        self._say = say
        self._on_last = on_last
        self._id = id_
        self._events: Events | None = None
        self._whole: list[bytes] = []
        self._members: dict[str, Any] = {}
        self.ended = False

    async def send(self, message: Message) -> None:
        """An application's ``send``."""
        if message["type"] == "http.response.start":
            self._begin(message["status"], dict(message["headers"]))
            return
        data = message.get("body", b"")
        complete = not message.get("more_body", False)
        if self._events is None:
            self._whole.append(data)
            if complete:
                await self._answer(b"".join(self._whole))
            return
        for each in self._events.feed(data):
            await self._event(each)
        if complete:
            await self.end()

    async def _answer(self, body: bytes) -> None:
        """An answer that is no stream; a guest that is passed on raw may say anything."""
        if body.lstrip().startswith(b"{"):
            await self._last(_with(body, self._given(self._members)))
        else:
            status = self._members.get("status", 502)
            await self.fail(ApiError(status, body.decode(errors="replace").strip()))

    async def end(self) -> None:
        """Say that a stream is at its end, unless that has been said."""
        done = DONE if self._id is None else json.dumps({"type": "done", **self._given()}).encode()
        await self._last(done)

    async def fail(self, error: ApiError) -> None:
        """Say what went wrong instead of the rest."""
        await self._last(error_frame(error, self._id))

    def _begin(self, status: int, headers: dict[bytes, bytes]) -> None:
        if headers.get(b"content-type", b"").startswith(b"text/event-stream"):
            self._events = Events()
        elif status >= 400:
            self._members = _about(status, headers)

    async def _event(self, data: bytes) -> None:
        if data == DONE:
            await self.end()
        elif data.startswith(_ERROR):
            await self._last(_with(data, self._given()))
        elif not self.ended:
            await self._say(_with(data, self._given()))

    async def _last(self, frame: bytes) -> None:
        if not self.ended:
            self.ended = True
            self._on_last()
            await self._say(frame)

    def _given(self, members: dict[str, Any] | None = None) -> dict[str, Any]:
        named = {} if self._id is None else {"request_id": self._id}
        return named | (members or {})


def error_frame(error: ApiError, id_: str | None) -> bytes:
    """The error object, with the status that it has over HTTP."""
    named = {} if id_ is None else {"request_id": id_}
    return _with(error.body(), named | _about(error.status, dict(error.headers)))


def _about(status: int, headers: dict[bytes, bytes]) -> dict[str, Any]:
    again = headers.get(b"retry-after")
    return {"status": status} | ({} if again is None else {"retry_after": int(again)})


def _with(body: bytes, members: dict[str, Any]) -> bytes:
    """``body``, a JSON object, with ``members`` at its beginning."""
    body = body.strip()
    if not members or not body.startswith(b"{"):
        return body
    rest = body[1:].lstrip()
    between = b"" if rest == b"}" else b", "
    return json.dumps(members).encode()[:-1] + between + rest
