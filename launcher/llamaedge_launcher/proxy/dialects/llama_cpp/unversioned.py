"""OpenAI's paths without their version, which llama.cpp's server has too."""

from starlette.types import ASGIApp, Receive, Scope, Send

from ... import guest_api
from ...describe import EVENTS, GUEST, JSON, Described, array, operation, record
from ..bridge import CHAT, EMBEDDINGS

PATHS = (CHAT, EMBEDDINGS)


class Renamed:
    """An application at another ``path`` than its own."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        target = {"path": self._path, "raw_path": self._path.encode()}
        await self._app({**scope, **target}, receive, send)


_ERRORS = (404, *GUEST)
DESCRIBED: Described = {
    ("/chat/completions", "POST"): operation(
        "The same as /v1/chat/completions",
        tag="llama.cpp",
        body=record({"messages": array({"type": "object"})}),
        answers={JSON: {"type": "object"}, EVENTS: guest_api.STREAM},
        errors=_ERRORS,
    ),
    ("/embeddings", "POST"): operation(
        "The same as /v1/embeddings",
        tag="llama.cpp",
        body=record({"input": guest_api.INPUT}),
        answers={JSON: {"type": "object"}},
        errors=_ERRORS,
    ),
}
