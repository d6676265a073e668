"""Chat over WebSocket: a text frame is a request, and its answer a text frame a chunk."""

import asyncio
import logging
import re
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from .body import Bodies, Room, check_json
from .errors import HANDLERS, ApiError, retry_after
from .frames import Frames, error_frame
from .record import Observer, Recorded
from .routing import Methods

_log = logging.getLogger(__name__)

ROUTE = "websocket"
"""The route of connections; their requests have that of their path."""

STOPPING = "websocket.stopping"
"""The type of the message that tells a connection to close after the answers under way."""

PROTOCOL = "llamaedge"
MAX_UNDER_WAY = 16  # requests of a connection
_MOST_TASKS = 2 * MAX_UNDER_WAY  # with those whose last frame the client has not read
_GOING_AWAY = 1001  # RFC 6455, 7.4.1
_ID = re.compile(r"[\w.:@/+=-]{1,128}", re.ASCII)
_NOT_KEPT = ("extensions", "headers", "record", "subprotocols", "type")  # for its requests


class WebSockets:
    """An ASGI application that takes each text frame for the body of a POST, which ``app`` answers.

    Each is told ``observers`` like a request of its own. A request may have a ``request_id``,
    which every frame of its answer repeats; such requests are answered at once, those without
    one after another. ``{"type": "cancel"}`` stops the one that is being answered, and with a
    ``request_id`` that one.
    """

    def __init__(self, app: ASGIApp, *, observers: Sequence[Observer]) -> None:
        self._app = Recorded(app, observers=observers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it closes."""
        scope["record"].route = ROUTE
        await _Connection(self._app, scope, receive, send).serve()


def routes(
    path: str, app: ASGIApp, *, observers: Sequence[Observer], room: Room
) -> list[BaseRoute]:
    """Speak to ``app``, which answers POST at ``path``; no other path takes a WebSocket."""

    async def refuse(websocket: WebSocket) -> None:
        raise HTTPException(404)

    answering = ExceptionMiddleware(Bodies(Methods(path, {"POST": app}), room=room), HANDLERS)
    return [
        WebSocketRoute(path, WebSockets(answering, observers=observers)),
        WebSocketRoute("/{path:path}", refuse),
    ]


class _Gone(Exception):
    """The client has closed the connection."""


class _Request:
    """A request under way, as an application receives it."""

    def __init__(self, id_: str | None, body: bytes) -> None:
        self.id = id_
        self.body = body
        self.cancelled = asyncio.Event()
        self._received = False

    async def receive(self) -> Message:
        """An application's ``receive``: the client of a cancelled request has gone."""
        if not self._received:
            self._received = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self.cancelled.wait()
        return {"type": "http.disconnect"}


class _Connection:
    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._under_way: list[_Request] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._stopping = False

    async def serve(self) -> None:
        await self._receive()
        protocol = PROTOCOL if PROTOCOL in self._scope["subprotocols"] else None
        await self._send({"type": "websocket.accept", "subprotocol": protocol})
        try:
            while (message := await self._receive())["type"] != "websocket.disconnect":
                await self._take(message)
        except _Gone:
            _log.debug("a client has gone")
        finally:
            for each in self._under_way:
                each.cancelled.set()
            if self._tasks:
                await asyncio.wait(self._tasks)

    async def _take(self, message: Message) -> None:
        if message["type"] == STOPPING:
            self._stopping = True
            await self._close_if_done()
            return
        while len(self._tasks) >= _MOST_TASKS:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        id_: str | None = None
        try:
            wanted = _parse(message)
            id_ = self._new_id(wanted)
            self._obey(wanted, message["text"])
        except ApiError as error:
            await self._say(error_frame(error, id_))

    def _new_id(self, wanted: dict[str, Any]) -> str | None:
        """The id that an error may name, which no other answer has."""
        id_ = wanted.get("request_id")
        usable = isinstance(id_, str) and _ID.fullmatch(id_) and not self._find(id_)
        return id_ if usable else None

    def _obey(self, wanted: dict[str, Any], text: str) -> None:
        id_ = wanted.get("request_id")
        if id_ is not None and not (isinstance(id_, str) and _ID.fullmatch(id_)):
            message = "it must be 1 to 128 letters, digits or any of . _ : @ / + = -"
            raise _wrong("request_id", message)
        if "type" not in wanted:
            self._start(_Request(id_, text.encode()))
        elif wanted["type"] != "cancel":
            raise _wrong("type", "it can only be 'cancel'; a chat request has none")
        elif (found := self._find(id_)) is not None:
            found.cancelled.set()

    def _find(self, id_: str | None) -> _Request | None:
        return next((each for each in self._under_way if each.id == id_), None)

    def _start(self, request: _Request) -> None:
        if self._stopping:
            again = retry_after(1)
            raise ApiError(503, "the server is stopping", code="unavailable", headers=again)
        if request.id is not None and self._find(request.id):
            raise _wrong("request_id", f"a request with {request.id!r} is under way")
        size = sum(len(each.body) for each in (*self._under_way, request))
        most = self._scope["place"].most
        if len(self._under_way) >= MAX_UNDER_WAY or size > most:
            message = (
                f"a connection may have {MAX_UNDER_WAY} requests under way,"
                f" of {most >> 20} MiB in all"
            )
            raise ApiError(429, message, code="too_many_requests", headers=retry_after(1))
        self._under_way.append(request)
        task = asyncio.create_task(self._answer(request))
        self._tasks.add(task)

    async def _answer(self, request: _Request) -> None:
        turn = nullcontext() if request.id is not None else self._turn
        task = asyncio.current_task()
        assert task
        try:
            async with turn:
                await self._ask(request)
        except _Gone:
            _log.debug("a client has gone")
        self._tasks.remove(task)
        await self._close_if_done()

    async def _ask(self, request: _Request) -> None:
        frames = Frames(self._say, request.id, lambda: self._under_way.remove(request))
        if not request.cancelled.is_set():
            try:
                await self._app(self._http(request), request.receive, frames.send)
            except _Gone:
                raise
            except Exception:
                _log.exception("a fault in the server ended an answer")
                await frames.fail(ApiError(500, "an error in the server; its log has the details"))
        await frames.end()

    def _http(self, request: _Request) -> Scope:
        """The request as if it had come by HTTP."""
        headers = [(b"content-type", b"application/json")]
        headers += [(b"content-length", b"%d" % len(request.body))]
        headers += [pair for pair in self._scope["headers"] if pair[0] == b"host"]
        if request.id is not None:
            headers.append((b"x-request-id", request.id.encode()))
        kept = {name: value for name, value in self._scope.items() if name not in _NOT_KEPT}
        return {**kept, "type": "http", "method": "POST", "headers": headers}

    async def _close_if_done(self) -> None:
        if self._stopping and not self._tasks:
            close = {"type": "websocket.close", "code": _GOING_AWAY}
            with suppress(OSError):
                await self._send({**close, "reason": "the server is stopping"})

    async def _say(self, frame: bytes) -> None:
        try:
            await self._send({"type": "websocket.send", "text": frame.decode(errors="replace")})
        except OSError as error:
            raise _Gone from error


def _parse(message: Message) -> dict[str, Any]:
    if message.get("text") is None:
        raise ApiError(400, "the frame is binary; send JSON as text", code="invalid_json")
    return check_json(message["text"].encode())


def _wrong(field: str, message: str) -> ApiError:
    return ApiError(400, f"{field}: {message}", code="invalid_value", param=field)
