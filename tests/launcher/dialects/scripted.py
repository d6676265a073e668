"""A dialect's endpoint before a scripted one of OpenAI's."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from llamaedge_launcher.proxy.body import Bodies, Room
from llamaedge_launcher.proxy.dialects.bridge import COUNT_TOKENS, Bridge, Dialect
from llamaedge_launcher.proxy.errors import ApiError
from llamaedge_launcher.proxy.hub import ONE, PULL
from llamaedge_launcher.proxy.record import Record, Recorded

Json = dict[str, Any]
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
PATHS = (
    "/v1/chat/completions",
    COUNT_TOKENS,
    "/v1/completions",
    "/v1/embeddings",
    PULL,
    ONE,
)


class Scripted:
    """Keeps what it is asked, and answers with ``chunks``, an answer, or an error."""

    def __init__(
        self,
        *,
        answer: Json | None = None,
        chunks: Sequence[Json | str] = (),
        status: int = 200,
        error: ApiError | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.told = [(name.encode(), each.encode()) for name, each in (headers or {}).items()]
        self.answer = answer
        self.chunks = chunks
        self.status = status
        self.error = error
        self.asked: Json = {}
        self.path = ""
        self.headers: dict[bytes, bytes] = {}
        self.records: list[Record] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.path, self.method = scope["path"], scope["method"]
        self.params = scope.get("path_params")
        self.headers = dict(scope["headers"])
        self.asked = json.loads((await receive())["body"])
        if self.chunks:
            await self._stream(send)
        if self.error is not None:
            raise self.error
        if not self.chunks:
            body = json.dumps(self.answer).encode()
            head = [(b"content-type", b"application/json"), (b"retry-after", b"3"), *self.told]
            await send({"type": "http.response.start", "status": self.status, "headers": head})
            await send({"type": "http.response.body", "body": body})

    async def _stream(self, send: Send) -> None:
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for each in self.chunks:
            part = each if isinstance(each, str) else f"data: {json.dumps(each)}\n\n"
            await send({"type": "http.response.body", "body": part.encode(), "more_body": True})
        if self.error is None:
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    def post(self, dialect: Dialect, body: Any) -> httpx.Response:
        """What a client gets for ``body``."""
        room = Room(most=1_000_000, together=1_000_000)
        bodies = Bodies(Bridge(dialect, dict.fromkeys(PATHS, self)), room=room)
        bridge = Recorded(bodies, observers=(self.records.append,))
        return asyncio.run(_post(bridge, body))


async def _post(app: ASGIApp, body: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.post("/", json=body)


def chunk(delta: Json | None = None, *, finish: str | None = None, **more: Any) -> Json:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c", "model": "m", "choices": [choice], **more}


def call(index: int, *, id_: str = "", name: str = "", arguments: str = "") -> Json:
    function = {**({"name": name} if name else {}), "arguments": arguments}
    return {"index": index, **({"id": id_} if id_ else {}), "function": function}


def whole(message: Json, *, finish: str = "stop") -> Json:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "c", "model": "m", "choices": [choice], "usage": USAGE}


LAST: Json = {"id": "c", "model": "m", "choices": [], "usage": USAGE}
STREAM: list[Json | str] = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "Hm"}),
    chunk({"reasoning_content": "m."}),
    chunk({"content": "It "}),
    chunk({"content": "is."}),
    chunk({"tool_calls": [call(0, id_="call_1", name="f")]}),
    chunk({"tool_calls": [call(0, arguments='{"a":')]}),
    chunk({"tool_calls": [call(0, arguments=" 1}")]}),
    chunk({"tool_calls": [call(1, id_="call_2", name="g", arguments="{}")]}),
    chunk(finish="tool_calls"),
    LAST,
]
WHOLE = whole(
    {
        "reasoning_content": "Hmm.",
        "content": "It is.",
        "tool_calls": [
            {"id": "call_1", "function": {"name": "f", "arguments": '{"a": 1}'}},
            {"id": "call_2", "function": {"name": "g", "arguments": "{}"}},
        ],
    },
    finish="tool_calls",
)
