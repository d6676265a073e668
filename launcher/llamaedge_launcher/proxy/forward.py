"""A client's request to a guest, and the guest's answer back, piece by piece."""

import asyncio
from collections.abc import Iterable

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from ..pool import Overloaded, Pool, Unavailable
from .body import check_json, read_body
from .errors import ApiError
from .exchange import Exchange, GuestGone

Headers = Iterable[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection"
    b" te trailer transfer-encoding upgrade".split()
)  # RFC 9110, 7.6.1
_NOT_TO_GUEST = _HOP_BY_HOP | {b"host", b"content-length", b"expect", b"accept-encoding"}
_NOT_TO_CLIENT = _HOP_BY_HOP | {b"date"}
_MAX_ERROR = 65536  # bytes of a guest's error text


class Forward:
    """An ASGI application that lets a guest answer.

    With ``requires``, a request must be a JSON object with that field before a guest sees it;
    ``computes`` tells the pool whether requests count.
    """

    def __init__(self, pool: Pool, *, requires: str | None, computes: bool) -> None:
        self._pool = pool
        self._requires = requires
        self._computes = computes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or stop the guest's work on it when the client has gone."""
        try:
            body = await read_body(scope, receive)
        except ClientDisconnect:
            return
        if self._requires is not None:
            check_json(body, self._requires)
        answer = asyncio.create_task(self._answer(_request(scope, body), send))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not answer.done():
                answer.cancel()
            await asyncio.wait((answer,))
        if not answer.cancelled():
            answer.result()

    async def _answer(self, request: bytes, send: Send) -> None:
        try:
            async with self._pool.lease(computes=self._computes) as path:
                exchange = await Exchange.open(path, request)
                try:
                    await _pass_on(exchange, send)
                finally:
                    exchange.close()
        except Unavailable as error:
            raise ApiError(
                503, str(error), code="unavailable", retry_after=error.retry_after
            ) from error
        except Overloaded as error:
            raise ApiError(
                429, str(error), code="overloaded", retry_after=error.retry_after
            ) from error
        except GuestGone as error:
            raise ApiError(502, str(error), code="guest_ended") from error


def _request(scope: Scope, body: bytes) -> bytes:
    """The request as the guest reads it; HEAD becomes GET, whose body the server drops."""
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    target = scope["raw_path"]
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    headers: list[tuple[bytes, bytes]] = [(b"host", b"localhost"), (b"connection", b"close")]
    headers += [pair for pair in scope["headers"] if pair[0] not in _NOT_TO_GUEST]
    if body or method not in ("GET", "DELETE"):
        headers.append((b"content-length", b"%d" % len(body)))
    lines = [b"%s %s HTTP/1.1" % (method.encode(), target)]
    lines += [b"%s: %s" % pair for pair in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pass_on(exchange: Exchange, send: Send) -> None:
    """Send the guest's response to the client as it comes.

    An error that is not JSON becomes an error object. A guest that ends in the middle of an
    event stream ends it with an error frame; any other answer is cut off, which the client
    sees from its framing. Raises ApiError and GuestGone before anything is sent.
    """
    kind = _value(exchange.headers, b"content-type")
    if exchange.status >= 400 and not kind.startswith(b"application/json"):
        raise ApiError(exchange.status, await _error_text(exchange))
    headers = [pair for pair in exchange.headers if pair[0] not in _NOT_TO_CLIENT]
    await send({"type": "http.response.start", "status": exchange.status, "headers": headers})
    last = b"\n\n"
    try:
        while data := await exchange.read():
            await send({"type": "http.response.body", "body": data, "more_body": True})
            last = data
    except GuestGone as error:
        if not kind.startswith(b"text/event-stream"):
            return
        gap = b"" if last.endswith(b"\n\n") else b"\n\n"
        frame = gap + ApiError(502, str(error), code="guest_ended").frame()
        await send({"type": "http.response.body", "body": frame, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _error_text(exchange: Exchange) -> str:
    parts: list[bytes] = []
    while sum(map(len, parts)) < _MAX_ERROR and (data := await exchange.read()):
        parts.append(data)
    text = b"".join(parts).decode(errors="replace").strip()
    return text[:_MAX_ERROR] or f"the guest answered {exchange.status} and nothing else"


def _value(headers: Headers, wanted: bytes) -> bytes:
    return next((value for name, value in headers if name == wanted), b"").lower()
