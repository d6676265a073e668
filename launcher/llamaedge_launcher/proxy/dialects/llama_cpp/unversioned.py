"""OpenAI's paths without their version, which llama.cpp's server has too."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ... import guest_api
from ...describe import (
    COUNT,
    EVENTS,
    GUEST,
    JSON,
    STRING,
    Described,
    array,
    const,
    operation,
    record,
)
from ...routing import Methods, routes_of
from .. import bridge

_VERSION = "/v1"
_OURS = (b"x-dialect", b"llama.cpp")
"""What lets a chat go on with a last message of the assistant's, and begin as llama.cpp's."""
HEADERS: dict[str, tuple[tuple[bytes, bytes], ...]] = {
    bridge.CHAT: (bridge.NOTHING_DROPPED, _OURS),
    bridge.COUNT_TOKENS: (),
    bridge.EMBEDDINGS: (),
    "/v1/models": (),
    "/v1/responses": (),
    "/v1/responses/input_tokens": (),
}
"""The paths, and what a request without the version says by headers if the client does not."""


class Renamed:
    """An application at another ``path`` than its own."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        target = {"path": self._path, "raw_path": self._path.encode()}
        given = {name for name, _ in scope["headers"]}
        added = [pair for pair in HEADERS.get(self._path, ()) if pair[0] not in given]
        await self._app({**scope, **target, "headers": [*scope["headers"], *added]}, receive, send)


def routes(versioned: Iterable[BaseRoute]) -> list[Route]:
    """Those of ``versioned`` that are there without their version, too."""
    apps = {
        each.path.removeprefix(_VERSION): dict.fromkeys(
            each.app.methods, Renamed(each.app, each.path)
        )
        for each in versioned
        if isinstance(each, Route) and isinstance(each.app, Methods) and each.path in HEADERS
    }
    return routes_of(apps, DESCRIBED)


_ERRORS = (404, *GUEST)
DESCRIBED: Described = {
    ("/chat/completions", "POST"): operation(
        "The same as /v1/chat/completions, but as llama.cpp answers it",
        tag="llama.cpp",
        body=record({"messages": array({"type": "object"})}),
        answers={JSON: {"type": "object"}, EVENTS: guest_api.STREAM},
        errors=_ERRORS,
    ),
    ("/chat/completions/input_tokens", "POST"): operation(
        "The same as /v1/chat/completions/input_tokens",
        tag="llama.cpp",
        body=record({"messages": array({"type": "object"})}),
        answers={JSON: record({"input_tokens": COUNT})},
        errors=_ERRORS,
    ),
    ("/embeddings", "POST"): operation(
        "The same as /v1/embeddings",
        tag="llama.cpp",
        body=record({"input": guest_api.INPUT}),
        answers={JSON: {"type": "object"}},
        errors=_ERRORS,
    ),
    ("/models", "GET"): operation(
        "The same as /v1/models",
        tag="llama.cpp",
        answers={JSON: record({"object": const("list"), "data": array({"type": "object"})})},
        errors=(503,),
    ),
    ("/responses", "POST"): operation(
        "The same as /v1/responses",
        tag="llama.cpp",
        body={"type": "object"},
        answers={JSON: record({"id": STRING}), EVENTS: guest_api.STREAM},
        errors=(404, 507, *GUEST),
    ),
    ("/responses/input_tokens", "POST"): operation(
        "The same as /v1/responses/input_tokens",
        tag="llama.cpp",
        body={"type": "object"},
        answers={JSON: record({"input_tokens": COUNT})},
        errors=(404, 507, *GUEST),
    ),
}
