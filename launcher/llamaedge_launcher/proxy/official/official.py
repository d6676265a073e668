"""The applications that stand before a guest of LlamaEdge's."""

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping
from email.message import Message as MimeMessage
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from ...fleet.recipe import DEFAULT
from ...limits import HEADER
from ..body import check_json, check_type, read_body
from ..errors import ApiError
from ..forward import Forward
from ..whole import Whole
from .answers import Answers, error_object, is_plain_error
from .requests import Asked, read_chat, read_completion

_Reader = Callable[[Mapping[str, Any]], Asked]
_Known = Callable[[], Awaitable[Container[str]]]

_READERS: Mapping[str, tuple[str, _Reader]] = {
    "/v1/chat/completions": ("messages", read_chat),
    "/v1/completions": ("prompt", read_completion),
}


class Official:
    """An ASGI application that lets ``app`` answer, and makes right what its guest does wrong.

    The guest is one of LlamaEdge's own servers. It gets no request that would end it; a text
    has at most as many tokens as were asked for, ends before the texts that were named and says
    why it ended; an error is an error object. A request for another model than those that are
    ``known`` is refused, None if they do not matter.
    """

    def __init__(self, app: Forward, *, known: _Known | None = None) -> None:
        self._app = app
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        reader = _READERS.get(scope["path"])
        if scope["method"] == "POST" and reader:
            await self._compute(scope, receive, send, *reader)
            return
        _check_parts(scope)
        told = Whole(send, held=is_plain_error, tell=error_object)
        await self._app(scope, receive, told)

    async def _compute(
        self, scope: Scope, receive: Receive, send: Send, field: str, read: _Reader
    ) -> None:
        check_type(scope)
        self._app.check(scope)
        body = await read_body(scope, receive)
        self._app.check(scope)
        fields = check_json(body, field)
        asked = read(fields)
        await self._check_model(fields.get("model"))
        scope["place"].leave()  # the guest's body takes it
        answers = Answers(send, asked)
        received = _Received(asked.body, receive, answers.complete)
        await self._app(_limited(scope, asked), received, answers)

    async def _check_model(self, name: str | None) -> None:
        if self._known is None or name in (None, "", DEFAULT) or name in await self._known():
            return
        message = f"The model '{name}' does not exist; see /v1/models, or leave out --strict-model"
        raise ApiError(404, message, code="model_not_found", param="model")


def _limited(scope: Scope, asked: Asked) -> Scope:
    """The scope with the limit as the first header, so that the guest's host finds it early."""
    others = [pair for pair in scope["headers"] if pair[0] not in (HEADER, b"content-length")]
    others.append((b"content-length", b"%d" % len(asked.body)))
    limit = [] if asked.limit is None else [(HEADER, b"%d" % asked.limit)]
    return {**scope, "headers": [*limit, *others]}


class _Received:
    """An application's ``receive``: ``body``, then the client's end, or ``complete``."""

    def __init__(self, body: bytes, receive: Receive, complete: asyncio.Event) -> None:
        self._body: bytes | None = body
        self._receive = receive
        self._complete = complete

    async def __call__(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        gone = asyncio.ensure_future(self._receive())
        complete = asyncio.ensure_future(self._complete.wait())
        try:
            await asyncio.wait((gone, complete), return_when=asyncio.FIRST_COMPLETED)
            return gone.result() if gone.done() else {"type": "http.disconnect"}
        finally:
            gone.cancel()
            complete.cancel()


def _check_parts(scope: Scope) -> None:
    """Refuse a multipart body that cannot be told apart. Raises ApiError."""
    given = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
    if given.strip().lower().startswith("multipart/"):
        mime = MimeMessage()
        mime["content-type"] = given
        if not mime.get_boundary():
            raise ApiError(400, "the multipart body has no boundary", code="invalid_multipart")
