"""A client's request to a guest, and the guest's answer back, piece by piece."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.types import Receive, Scope, Send

from ..fleet.errors import ModelRefused
from ..fleet.recipe import Kind, Wanted
from ..pool import Overloaded, Unavailable
from .body import check_json, check_type, read_body
from .client import Client, Headers
from .errors import ApiError, refused, retry_after, unread
from .exchange import GuestGone
from .gone import until_gone
from .remote.pictures import Pictures
from .transport import Answer, TimedOut, Transport

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection"
    b" te trailer transfer-encoding upgrade".split()
)  # RFC 9110, 7.6.1
_NOT_TO_GUEST = _HOP_BY_HOP | {
    *(b"host", b"content-length", b"content-encoding", b"expect", b"accept-encoding")
}
_CORS = b"access-control-"
_NOT_TO_CLIENT = _HOP_BY_HOP | {b"date"}
_REFUSALS = {Unavailable: (503, "unavailable"), Overloaded: (429, "overloaded")}
_Prepared = Callable[[], Awaitable[bytes]]
_LONGEST_MODEL = 256  # characters that are kept of a model's name


class Forward:
    """An ASGI application that lets a guest answer.

    With ``requires``, a request must be a JSON object with that field before a guest sees it;
    a model of ``kind`` answers it, unless it names one. ``computes`` is the transport's. With
    ``pictures`` those that its messages name by URL are put into it.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        requires: str | None,
        computes: bool,
        kind: Kind | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        self._transport = transport
        self._requires = requires
        self._computes = computes
        self._kind = kind
        self._pictures = pictures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or stop the guest's work on it when the client has gone.

        Nothing is read, and nothing parsed, of a request that would get no place.
        """
        if self._requires is not None:
            check_type(scope)
        self.check(scope)
        body = await read_body(scope, receive)
        self.check(scope)
        fields = self._fields(body)
        model = fields.get("model")
        wanted = Wanted(model if isinstance(model, str) else None, self._kind)
        if wanted.name is not None:
            scope["record"].model = wanted.name[:_LONGEST_MODEL]
        self.check(scope, wanted)
        client = Client(send, streams=fields.get("stream") is True)

        async def prepared() -> bytes:
            seen = await self._with_pictures(fields, scope)
            return _request(scope, body if seen is None else seen)

        await until_gone(receive, self._answer(prepared, wanted, client))

    def check(self, scope: Scope, wanted: Wanted | None = None) -> None:
        """Raise ApiError if the request would get no place."""
        if self._computes:
            with refusing(unread(scope)):
                self._transport.check(wanted)

    def _fields(self, body: bytes) -> dict[str, Any]:
        """The body's, where it must be a JSON object or is one."""
        if self._requires is not None:
            return check_json(body, self._requires)
        if not body.lstrip().startswith(b"{"):
            return {}
        try:
            return check_json(body)
        except ApiError:
            return {}

    async def _with_pictures(self, fields: dict[str, Any], scope: Scope) -> bytes | None:
        """The request with the pictures that it names by URL, None if there are none."""
        if self._pictures is None:
            return None
        return await self._pictures.inline(fields, lambda more: scope["place"].take(more, scope))

    async def _answer(self, prepared: _Prepared, wanted: Wanted, client: Client) -> None:
        with client.kept_awake():
            try:
                await self._relay(await prepared(), wanted, client)
            except ApiError as error:
                if not client.begun:
                    raise
                await client.fail(error)

    async def _relay(self, request: bytes, wanted: Wanted, client: Client) -> None:
        with refusing():
            async with self._transport.send(
                request, wanted=wanted, computes=self._computes
            ) as answer:
                await _pass_on(answer, client)


@contextmanager
def refusing(headers: Headers = ()) -> Iterator[None]:
    """Make what the transport raises answers, with these headers."""
    try:
        yield
    except (Unavailable, Overloaded) as error:
        status, code = _REFUSALS[type(error)]
        again = [*retry_after(error.retry_after), *headers]
        raise ApiError(status, str(error), code=code, headers=again) from error
    except ModelRefused as error:
        raise refused(error) from error
    except TimedOut as error:
        raise ApiError(504, str(error), code="timeout") from error
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


async def _pass_on(answer: Answer, client: Client) -> None:
    """Send the guest's response to the client as it comes.

    A guest that ends in the middle of an answer that is no event stream cuts it off, which the
    client sees from its framing. Raises GuestGone for what is left to be told.
    """
    headers = [
        pair
        for pair in answer.headers
        if pair[0] not in _NOT_TO_CLIENT and not pair[0].startswith(_CORS)
    ]
    await client.begin(answer.status, headers)
    while data := await answer.read():
        await client.write(data)
    await client.end()
