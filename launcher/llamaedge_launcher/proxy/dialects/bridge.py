"""A request of another API, answered by an endpoint of OpenAI's."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..body import read_json
from ..errors import ApiError
from ..events import DONE, Events
from ..record import Record
from .fields import UNKNOWN, named

_log = logging.getLogger(__name__)

Json = dict[str, Any]

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
COUNT_TOKENS = "/v1/chat/completions/input_tokens"
NOTHING_DROPPED = (b"x-truncation", b"disabled")
"""The header that lets no old turns of a conversation be left out: one without room is a 400."""
_JSON = (b"content-type", b"application/json")
_PLAIN = (b"content-type", b"text/plain; charset=utf-8")
_NO_ANSWER = (LookupError, TypeError, ValueError, AttributeError)
"""What reading an answer raises that is none of OpenAI's."""
_UNKNOWN = UNKNOWN.encode()
_OWN = (b"content-type", b"content-length", b"transfer-encoding", b"content-encoding")
_KEPT = (b"retry-after", b"allow", b"www-authenticate", b"connection", _UNKNOWN)


def arguments(function: Json) -> Json | None:
    """What the arguments of a call of ``function`` mean, None where they were cut off."""
    try:
        found: Json = json.loads(function.get("arguments") or "{}")
    except ValueError:
        return None
    return found


class Stream(Protocol):
    """Writes an answer as its API streams it; each method's result is sent at once."""

    media_type: str

    def chunk(self, chunk: Json) -> bytes:
        """For one of OpenAI's chunks."""

    def silence(self) -> bytes:
        """For a while without chunks, so that nobody takes the connection for dead."""

    def end(self) -> bytes:
        """After the last chunk."""

    def fail(self, status: int, error: Json) -> bytes:
        """Instead of the rest; ``error`` is OpenAI's error object."""


@dataclass(frozen=True)
class Translated:
    """OpenAI's request: ``body`` for the endpoint ``path``, and how its answer is told.

    ``stream`` is there if the answer is to be streamed, else ``answer`` makes it from OpenAI's.
    ``params`` are those of the endpoint's path, ``headers`` are sent beside the client's.
    ``unknown`` are fields of the client's that do nothing here: the answer's header names them.
    """

    path: str
    body: Json
    stream: Stream | None
    answer: "Answer"
    method: str = "POST"
    params: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    unknown: Sequence[str] = ()


@dataclass(frozen=True)
class Answered:
    """An answer that needs no model, and fields of the client's that do nothing here."""

    body: Json
    unknown: Sequence[str] = ()


class Answer(Protocol):
    """Makes an API's answer from OpenAI's."""

    def __call__(self, answer: Json, /) -> Any:
        """The answer's JSON; a string is plain text."""


class Dialect(Protocol):
    """An endpoint of another API."""

    async def read(self, request: Json) -> Translated | Answered:
        """``request`` as OpenAI's, or its answer if no model is needed. Raises ApiError."""

    def error(self, status: int, error: Json) -> Json:
        """The body of an error; ``error`` is OpenAI's error object."""


class Bridge:
    """An ASGI application that answers a ``dialect`` through those of OpenAI's ``endpoints``.

    ``take`` reads a request, which is a JSON object unless it says otherwise. Raises ApiError.
    """

    def __init__(
        self,
        dialect: Dialect,
        endpoints: Mapping[str, ASGIApp],
        take: Callable[[Scope, Receive], Awaitable[Json]] = read_json,
    ) -> None:
        self._dialect = dialect
        self._endpoints = endpoints
        self._take = take

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        teller: _Teller | None = None
        try:
            wanted = await self._dialect.read(await self._take(scope, receive))
            if not isinstance(wanted, Translated):
                await _respond(wanted, scope, send)
                return
            teller = _Teller(self._dialect, wanted, scope["record"], send)
            given = json.dumps(wanted.body).encode()
            asked = inner(scope, wanted.path, len(given))
            asked |= {"method": wanted.method, "path_params": wanted.params}
            own = {name for name, _ in wanted.headers}
            others = [pair for pair in asked["headers"] if pair[0] not in own]
            asked["headers"] = [*others, *wanted.headers]
            app = self._endpoints[wanted.path]
            await app(asked, replayed(given, receive), teller.send)
            if teller.error is not None:
                raise teller.error
        except ApiError as error:
            if teller is None or not await teller.fail(error):
                await self._refuse(error, scope, receive, send)

    async def _refuse(self, error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
        told = self._dialect.error(error.status, json.loads(error.body())["error"])
        response = Response(json.dumps(told), error.status, media_type="application/json")
        response.raw_headers += error.headers
        await response(scope, receive, send)


class _Teller:
    """Takes what an endpoint of OpenAI's sends, and sends it as the dialect tells it."""

    def __init__(self, dialect: Dialect, wanted: Translated, record: Record, send: Send) -> None:
        self._dialect = dialect
        self._wanted = wanted
        self._record = record
        self._send = send
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._status = 200
        self._headers: list[tuple[bytes, bytes]] = []
        self._events: Events | None = None
        self._whole: list[bytes] = []
        self._started = False
        self._ended = False
        self._complete = False
        self.error: ApiError | None = None
        """Why the answer cannot be told, which the endpoint may have kept to itself."""

    async def send(self, message: Message) -> None:
        """As an application's ``send``. Raises ApiError for what cannot be told."""
        if self.error is not None:
            return
        try:
            await self._take(message)
        except ApiError as error:
            self.error = error
            raise
        except _NO_ANSWER as error:
            _log.debug("an answer cannot be told", exc_info=True)
            reason = f"the guest answered {self._wanted.path} with something else: {error!r}"
            self.error = ApiError(502, reason, code="guest_answer")
            raise self.error from error

    async def _take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = _told(message["headers"], self._wanted.unknown)
            kind = next((v for n, v in message["headers"] if n.lower() == b"content-type"), b"")
            if self._wanted.stream is not None and kind.startswith(b"text/event-stream"):
                self._events = Events()
            return
        data = message.get("body", b"")
        complete = not message.get("more_body", False)
        if self._events is None:
            self._whole.append(data)
            if complete:
                await self._tell()
        else:
            await self._streamed(self._wanted.stream, self._events.feed(data), complete)

    async def fail(self, error: ApiError) -> bool:
        """End a stream that has begun by ``error``; False if none has."""
        if not self._started or self._wanted.stream is None:
            return False
        await self._failed(self._wanted.stream, error.status, json.loads(error.body())["error"])
        return True

    async def _tell(self) -> None:
        """The whole answer, or the error, which may come in the place of a stream."""
        found = json.loads(b"".join(self._whole))
        if self._status != 200:
            found = self._dialect.error(self._status, found["error"])
        else:
            self._count(found)
            found = self._wanted.answer(found)
        plain = isinstance(found, str)
        body = found.encode() if plain else json.dumps(found).encode()
        kind = _PLAIN if plain else _JSON
        headers = [kind, (b"content-length", b"%d" % len(body)), *self._headers]
        await self._start(self._status, headers)
        await self._part(body, more=False)

    async def _streamed(self, stream: Stream | None, events: list[bytes], complete: bool) -> None:
        assert stream is not None
        if not self._started:
            kind = (b"content-type", stream.media_type.encode())
            unbuffered = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
            await self._start(200, [kind, *unbuffered, *self._headers])
        parts = [] if events or complete else [stream.silence()]
        for event in events:
            if self._ended or event == DONE:
                continue
            chunk = json.loads(event)
            if "error" in chunk:
                await self._part(b"".join(parts))
                await self._failed(stream, 500, chunk["error"])
                return
            self._count(chunk)
            if self._record.first is None and chunk.get("choices"):
                self._record.first = self._clock() - self._began
            parts.append(stream.chunk(chunk))
        if complete and not self._ended:
            parts.append(stream.end())
        await self._part(b"".join(parts), more=not complete)

    async def _failed(self, stream: Stream, status: int, error: Json) -> None:
        if not self._ended:
            self._ended = True
            await self._part(stream.fail(status, error))
        await self._part(b"", more=False)

    def _count(self, found: Json) -> None:
        if usage := found.get("usage"):
            self._record.prompt_tokens = usage.get("prompt_tokens")
            self._record.completion_tokens = usage.get("completion_tokens", 0)

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _part(self, body: bytes, *, more: bool = True) -> None:
        if not self._complete and (body or not more):
            self._complete = not more
            await self._send({"type": "http.response.body", "body": body, "more_body": more})


def _told(given: list[tuple[bytes, bytes]], unknown: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """The headers of OpenAI's answer that are the dialect's too, and what is ``unknown``."""
    kept = [pair for pair in given if pair[0].lower() in _KEPT]
    if not unknown:
        return kept
    inner = [value for name, value in kept if name.lower() == _UNKNOWN]
    told = b", ".join([*inner, named(unknown).encode()])
    return [*(pair for pair in kept if pair[0].lower() != _UNKNOWN), (_UNKNOWN, told)]


async def json_or_form(scope: Scope, receive: Receive) -> Json:
    """A JSON object, which may be said to be a form. Raises ApiError."""
    return await read_json(scope, receive, forms=True)


def inner(scope: Scope, path: str, length: int) -> dict[str, Any]:
    """The scope of a request as if it had come to OpenAI's endpoint ``path`` as JSON."""
    others = [pair for pair in scope["headers"] if pair[0] not in _OWN]
    headers = [*others, _JSON, (b"content-length", b"%d" % length)]
    target = {"path": path, "raw_path": path.encode(), "query_string": b""}
    return {**scope, **target, "headers": headers}


def replayed(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that begins with ``body``, and goes on with what else comes."""
    given: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return given.pop() if given else await receive()

    return next_message


async def _respond(found: Answered, scope: Scope, send: Send) -> None:
    response = Response(json.dumps(found.body), media_type="application/json")
    response.raw_headers += _told([], found.unknown)

    async def nothing() -> Message:
        raise ClientDisconnect

    with suppress(ClientDisconnect):
        await response(scope, nothing, send)
