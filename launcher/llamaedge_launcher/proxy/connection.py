"""uvicorn's HTTP connections, within bounds: of their number, their heads, and their patience."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .errors import ApiError, retry_after

MOST_HEAD = 65536
"""Bytes of a request's line and headers."""
MOST_HEADERS = 256
HEAD_PATIENCE = 20.0
"""Seconds that a connection may take to bring a request's head."""
BODY_PATIENCE = 30.0
"""Seconds that a body may take to come, beside a second for each SLOWEST bytes."""
SLOWEST = 1000
"""Bytes a second of a body that goes on and on."""
READ_PATIENCE = 60.0
"""Seconds that a client may read nothing while much waits for it."""
KEEP_ALIVE = 60
"""Seconds that a connection may be idle between two requests."""
_LOOK = 1.0  # seconds between two looks at all connections
_BROKEN = ApiError(400, "this is not a request of HTTP/1.1", code="invalid_request")


class Bounds:
    """How many connections there may be, shared by all of them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.watched = False
        self.order: dict[Connection, None] = {}
        """All of them, that one first which had its last request or answer longest ago."""


class Connection(HttpToolsProtocol):
    """One of as many as ``bounds`` allow; the one that is idle for longest gives way to a new one.

    What takes the client too long to send or to read is timed out; time in which this server
    does not read from it does not count.
    """

    def __init__(self, *given: Any, bounds: Bounds, **named: Any) -> None:
        super().__init__(*given, **named)
        self._bounds = bounds
        self._since = self.loop.time()
        self._head = 0
        self._in_head = True
        self._body = 0
        self._receiving = 0.0
        self._unread_since: float | None = None
        self._refusal = _BROKEN

    @property
    def idle(self) -> bool:
        """Whether nothing of a request has come that is not answered."""
        return self._in_head and not self._head and self._answered

    @property
    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: Any) -> None:
        """Take a connection, unless there are too many that are busy."""
        super().connection_made(transport)
        self._touch()
        bounds = self._bounds
        if not bounds.watched:
            bounds.watched = True
            self._watch()
        if len(self.connections) <= bounds.most:
            return
        oldest = next((each for each in bounds.order if each.idle and each is not self), None)
        if oldest is not None:
            del bounds.order[oldest]
            oldest.transport.abort()
            self.connections.discard(oldest)
        else:
            message = f"this server has {bounds.most} connections, as --max-connections says"
            again = retry_after(1)
            self._refuse(ApiError(503, message, code="too_many_connections", headers=again))

    def _watch(self) -> None:
        """Look at all connections, again and again while there are some."""
        now = self.loop.time()
        found = _all(self.connections)
        for each in found:
            each.look(now)
        self._bounds.watched = bool(found)
        if found:
            self.loop.call_later(_LOOK, found[0]._watch)

    def data_received(self, data: bytes) -> None:
        """Take what has come of a request; one whose head is too large is refused."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > MOST_HEAD:
            self._refuse(_too_much())

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """A request's head is there. Raises ApiError, which refuses it, for one too large."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if len(self.headers) > MOST_HEADERS or size > MOST_HEAD:
            self._refusal = _too_much()
            raise self._refusal
        self._in_head = False
        self._head = self._body = 0
        self._receiving = 0.0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole; the next one begins with its head."""
        self._in_head = True
        self._touch()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is complete."""
        self._touch()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        self._bounds.order.pop(self, None)
        super().connection_lost(exc)

    def _touch(self) -> None:
        """Something has come or gone now."""
        self._since = self.loop.time()
        self._bounds.order.pop(self, None)
        self._bounds.order[self] = None

    def pause_writing(self) -> None:
        """Much waits for the client to read."""
        self._unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has read."""
        self._unread_since = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or not one for this server."""
        self._refuse(self._refusal)

    def look(self, now: float) -> None:
        """Time out what the client has taken too long for."""
        if self._unread_since is not None:
            if now - self._unread_since > READ_PATIENCE:
                self.transport.abort()
        elif self._answered:
            first = self._head or self.cycle is None
            if now - self._since > (HEAD_PATIENCE if first else KEEP_ALIVE):
                self._end_waiting()
        elif not self._in_head and not self.flow.read_paused:
            self._receiving += _LOOK
            if self._receiving > BODY_PATIENCE + self._body / SLOWEST:
                self._refuse(_timed_out("body"))

    def _end_waiting(self) -> None:
        """Close an idle connection; say why if a part of a head has come."""
        if self._head and not self.transport.is_closing():
            self._refuse(_timed_out("head"))
        else:
            self.transport.abort()

    def _refuse(self, error: ApiError) -> None:
        """Answer with ``error`` and close, unless another answer has begun: then only close."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_answer(error))
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self._since = self.loop.time()
        self.transport.close()


def _all(connections: Iterable[object]) -> list[Connection]:
    return [each for each in connections if isinstance(each, Connection)]


def _too_much() -> ApiError:
    message = f"the request's head has more than {MOST_HEADERS} headers or {MOST_HEAD} bytes"
    return ApiError(431, message, code="headers_too_large")


def _timed_out(what: str) -> ApiError:
    return ApiError(408, f"the request's {what} did not come in time", code="timeout")


def _answer(error: ApiError) -> bytes:
    body = error.body()
    lines = [b"HTTP/1.1 %d %s" % (error.status, HTTPStatus(error.status).phrase.encode())]
    lines += [b"content-type: application/json", b"content-length: %d" % len(body)]
    lines += [b"%s: %s" % pair for pair in error.headers]
    return b"\r\n".join([*lines, b"connection: close", b"", body])
