"""A server of OpenAI's API on loopback that answers as it is told to."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ..web import serving


@dataclass
class Api:
    """``deltas`` are what the next answers consist of; None waits until the client leaves."""

    url: str = ""
    key: str = ""
    names: list[str] = field(default_factory=lambda: ["tiny"])
    deltas: list[dict[str, str] | None] = field(default_factory=list)
    error: tuple[int, Any] | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/models", self._models),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
            ]
        )

    def says(self, *texts: str) -> None:
        self.deltas = [{"content": text} for text in texts]

    def _refused(self, request: Request) -> Response | None:
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": {"message": "the key is missing"}}, 401)
        return None

    async def _models(self, request: Request) -> Response:
        data = [{"id": name, "object": "model"} for name in self.names]
        return self._refused(request) or JSONResponse({"object": "list", "data": data})

    async def _chat(self, request: Request) -> Response:
        self.asked.append(await request.json())
        if self.error is not None:
            status, body = self.error
            return JSONResponse(body, status) if isinstance(body, dict) else Response(body, status)
        return self._refused(request) or StreamingResponse(
            self._stream(), media_type="text/event-stream"
        )

    async def _stream(self) -> AsyncIterator[str]:
        try:
            for delta in self.deltas:
                if delta is None:
                    await asyncio.sleep(60)
                chunk = delta if delta and "error" in delta else {"choices": [{"delta": delta}]}
                yield f"data: {json.dumps(chunk)}\n\n"
            yield 'data: {"choices": []}\n\ndata: [DONE]\n\n'
        finally:
            self.left.set()


@contextmanager
def running() -> Iterator[Api]:
    """A server on a free port."""
    api = Api()
    with serving(api.app()) as url:
        api.url = f"{url}/v1"
        yield api
