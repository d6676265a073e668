"""Headers' names as HTTP's documents write them, for programs that tell their cases apart."""

from functools import lru_cache
from typing import Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection"))
"""Those that uvicorn looks for itself."""


class _Name(bytes):
    def lower(self) -> Self:
        """Itself: uvicorn writes the names of headers in lower case otherwise."""
        return self


class Titled:
    """An ASGI application that answers as ``app`` does, with Names-Like-This."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def titled(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(_titled(name), value) for name, value in message.get("headers", ())]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, titled if scope["type"] == "http" else send)


@lru_cache(256)
def _titled(name: bytes) -> bytes:
    if name in _FRAMING:
        return name
    return _Name(b"-".join(part.capitalize() for part in name.split(b"-")))
