"""What a request was and how it went: its id, and one line of the log."""

import asyncio
import logging
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..log import with_fields

_log = logging.getLogger(__name__)

OTHER = "other"
"""The route of a request for a path that is none."""

OVER_WEBSOCKET = "WS"
"""The method of a request that came over a WebSocket."""

_ID = b"x-request-id"
_GIVEN = re.compile(rb"[\w.:@/+=-]{1,128}", re.ASCII)
_QUIET = frozenset(("/health", "/metrics", "/api/render", "/{page}"))  # asked for often
_EVENTS = b"text/event-stream"
_SWITCHED = 101  # Switching Protocols
_TAIL = 1024  # bytes, which hold an answer's usage
_USAGE = {
    "prompt_tokens": re.compile(rb'"prompt_tokens"\s*:\s*([0-9]+)'),
    "completion_tokens": re.compile(rb'"completion_tokens"\s*:\s*([0-9]+)'),
}
_PIECE = re.compile(rb'"(?:content|text)"\s*:\s*"(?!")')


@dataclass
class Record:
    """A request; times are in seconds.

    ``model`` is as the request names it. ``status`` is None until an answer begins, and
    ``complete`` says that it has been sent. The tokens are the answer's own usage, or the pieces
    of a stream that tells none. ``first`` is the time to a stream's first piece, ``gaps`` the
    times between its pieces.
    """

    method: str
    path: str
    id: str
    client: str
    route: str = OTHER
    model: str | None = None
    status: int | None = None
    complete: bool = False
    seconds: float = 0.0
    first: float | None = None
    gaps: list[float] = field(default_factory=list)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def line(self) -> str:
        """The line of the log."""
        status = "no answer" if self.status is None else str(self.status)
        parts = [f"{self.client} {self.method} {self.path} {status}"]
        if self.status is not None and not self.complete:
            parts[0] += " cut off"
        if self.completion_tokens is not None:
            read = "" if self.prompt_tokens is None else f"{self.prompt_tokens} + "
            parts.append(f"{read}{self.completion_tokens} tokens")
        if self.first is not None:
            parts.append(f"first {self.first:.3f} s")
        return ", ".join([*parts, f"{self.seconds:.3f} s", self.id])

    def fields(self) -> dict[str, object]:
        """What the line tells and more, by name; what is not known is left out."""
        found = {
            "id": self.id,
            "client": self.client,
            "method": self.method,
            "path": self.path,
            "route": self.route,
            "model": self.model,
            "status": self.status,
            "complete": self.complete,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "first_token_seconds": None if self.first is None else round(self.first, 6),
            "seconds": round(self.seconds, 6),
        }
        return {name: value for name, value in found.items() if value is not None}


Observer = Callable[[Record], None]


class Recorded:
    """An ASGI application that gives each request an id and tells ``observers`` of its end.

    A WebSocket is a request too, of the status 101, and so is what comes over it.

    The id is the client's own X-Request-Id or a new one; ``app`` and the client get it. ``app``
    finds the record in the scope, to name the route.
    """

    def __init__(self, app: ASGIApp, *, observers: Sequence[Observer]) -> None:
        self._app = app
        self._observers = observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        id_ = headers.get(_ID, b"")
        if not _GIVEN.fullmatch(id_):
            id_ = f"req_{uuid.uuid4().hex}".encode()
        record = _record(scope, id_.decode())
        others = [pair for pair in scope["headers"] if pair[0] != _ID]
        scope = {**scope, "headers": [*others, (_ID, id_)], "record": record}
        watch = _Watch(record, send)
        try:
            await self._app(scope, receive, watch)
        finally:
            watch.finish()
            for each in self._observers:
                each(record)


def log_line(record: Record) -> None:
    """Write the record's line, at debug for what machines ask for again and again."""
    level = logging.DEBUG if record.route in _QUIET else logging.INFO
    _log.log(level, "%s", record.line(), extra=with_fields(record.fields()))


def _record(scope: Scope, id_: str) -> Record:
    path = scope.get("raw_path", scope["path"].encode()).decode("ascii", "backslashreplace")
    client = scope["client"][0] if scope.get("client") else "-"
    over_socket = scope["type"] == "http" and scope.get("scheme") in ("ws", "wss")
    method = OVER_WEBSOCKET if over_socket else scope.get("method", "GET")
    return Record(method, path, id_, client)


class _Watch:
    """Sends on, and sees to the record what goes by."""

    def __init__(self, record: Record, send: Send) -> None:
        self._record = record
        self._send = send
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._last = 0.0
        self._stream = False
        self._pieces = 0
        self._tail = b""

    async def __call__(self, message: Message) -> None:
        """As ``send``, with the request's id among the headers."""
        kind = message["type"].removeprefix("websocket.")
        if kind in ("http.response.start", "accept"):
            id_ = (_ID, self._record.id.encode())
            others = [pair for pair in message.get("headers", ()) if pair[0].lower() != _ID]
            message = {**message, "headers": [*others, id_]}
            self._record.status = message.get("status", _SWITCHED)
            self._record.complete = kind == "accept"
            type_ = next((value for name, value in others if name.lower() == b"content-type"), b"")
            self._stream = type_.startswith(_EVENTS)
        elif kind == "http.response.body":
            self._see(message.get("body", b""))
            self._record.complete = not message.get("more_body", False)
        await self._send(message)

    def _see(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-_TAIL:]
        pieces = len(_PIECE.findall(data)) if self._stream else 0
        if not pieces:
            return
        now = self._now()
        if self._record.first is None:
            self._record.first = now - self._began
        else:
            self._record.gaps.append(now - self._last)
        self._last = now
        self._pieces += pieces

    def finish(self) -> None:
        """Complete the record."""
        self._record.seconds = self._now() - self._began
        for name, pattern in _USAGE.items():
            found = pattern.findall(self._tail)
            if found:
                setattr(self._record, name, int(found[-1]))
        if self._record.completion_tokens is None and self._pieces:
            self._record.completion_tokens = self._pieces
