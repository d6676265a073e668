"""Answers of LlamaEdge's own servers as OpenAI's API has them."""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.types import Message, Send

from ..errors import ApiError
from ..events import DONE, Events
from ..whole import with_body
from .requests import Asked
from .stop import Stop

CONTEXT_FULL = "<|WASMEDGE-GGML-CONTEXT-FULL|>"
"""What they write when the context is full."""

_TOO_LONG = re.compile(r"prompt ?too ?long|prompt is too long", re.IGNORECASE)
_BREAKS = {ord(each): f"\\u{ord(each):04x}" for each in "\u0085\u2028\u2029"}
"""What some clients take for the end of a line."""

_EVENTS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_JSON = (b"content-type", b"application/json")
_OF_BODY = frozenset(name for name, _ in _EVENTS)
_Headers = list[tuple[bytes, bytes]]


class Answers:
    """An application's ``send``, which makes the answer to ``asked`` right and gives it ``send``.

    ``complete`` is set once the client has all of it, though the guest would go on.
    """

    def __init__(self, send: Send, asked: Asked) -> None:
        self._send = send
        self._asked = asked
        self._status = 0
        self._headers: _Headers = []
        self._whole: list[bytes] | None = None
        self._events = Events()
        self._begun = False
        self._frame: dict[str, Any] = {}
        self._stop = Stop(asked.stop)
        self._tokens = 0
        self._cut_short = False
        self._finish: str | None = None
        self._usage: dict[str, Any] | None = None
        self.complete = asyncio.Event()

    async def __call__(self, message: Message) -> None:
        """As ``send``."""
        if self.complete.is_set():
            return
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = list(message["headers"])
            kind = dict(self._headers).get(b"content-type", b"")
            self._whole = None if kind.startswith(b"text/event-stream") else []
            return
        data, more = message.get("body", b""), message.get("more_body", False)
        if self._whole is None:
            await self._stream(data, more=more)
            return
        self._whole.append(data)
        if not more:
            await self._answer(b"".join(self._whole))

    async def _stream(self, data: bytes, *, more: bool) -> None:
        if data.startswith(b":"):
            await self._write(data)
            return
        for each in self._events.feed(data):
            await self._event(each)
        if not more:
            await self._done()

    async def _answer(self, body: bytes) -> None:
        """An answer that is no stream, as one where the client wants one."""
        found = _object(body)
        if self._status >= 400 or found is None or not found.get("choices"):
            await self._pass_on(body, found)
        elif self._asked.streams:
            await self._unfold(found)
        else:
            await self._end_with(_encode(self._right(found)))

    async def _pass_on(self, body: bytes, found: dict[str, Any] | None) -> None:
        if found is None:
            error = error_of(self._status if self._status >= 400 else 502, body)
            self._status = error.status
            body = error.body()
        await self._end_with(body)

    async def _end_with(self, body: bytes) -> None:
        headers = [*_about(self._headers), _JSON, (b"content-length", b"%d" % len(body))]
        self.complete.set()
        await self._send(
            {"type": "http.response.start", "status": self._status, "headers": headers}
        )
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def _right(self, found: dict[str, Any]) -> dict[str, Any]:
        """A whole answer with its stop texts, its finish reason and without their sentinel."""
        choice = found["choices"][0]
        message = choice.get("message")
        holder, name = (choice, "text") if message is None else (message, "content")
        text = holder.get(name)
        if isinstance(text, str):
            holder[name] = self._cut(text)
        choice["finish_reason"] = self._finish or self._reason(choice, found.get("usage"))
        choice.setdefault("logprobs", None)
        return found

    def _cut(self, text: str) -> str:
        if CONTEXT_FULL in text:
            self._finish = "length"
        kept = self._stop.feed(text.replace(CONTEXT_FULL, ""))
        if self._stop.found:
            self._finish = "stop"
        return kept + self._stop.rest()

    def _reason(self, choice: Mapping[str, Any], usage: object) -> str:
        made = usage.get("completion_tokens") if isinstance(usage, dict) else None
        said: str = choice.get("finish_reason") or "stop"
        limit = self._asked.limit
        full = said == "stop" and limit is not None and isinstance(made, int) and made >= limit
        return "length" if full else said

    async def _unfold(self, found: dict[str, Any]) -> None:
        """A whole answer as a stream."""
        choice = self._right(found)["choices"][0]
        message = choice.get("message")
        kind = "text_completion" if message is None else "chat.completion.chunk"
        self._frame = {**found, "object": kind}
        self._frame.pop("usage", None)
        piece = {"text": choice["text"]} if message is None else {"delta": message}
        self._usage = found.get("usage")
        await self._say(piece)
        self._finish = choice["finish_reason"]
        await self._done()

    async def _event(self, data: bytes) -> None:
        found = _object(data)
        if self.complete.is_set():
            return
        if data == DONE:
            await self._done()
        elif found is None or "error" in found:
            error = error_of(502, data).frame() if found is None else _frame(data)
            await self._write(error)
            await self._close()
        elif found.get("choices") and "message" in found["choices"][0]:
            await self._unfold(found)
        else:
            await self._chunk(found)

    async def _chunk(self, chunk: dict[str, Any]) -> None:
        self._frame = self._frame or {k: v for k, v in chunk.items() if k != "usage"}
        self._usage = chunk.get("usage") or self._usage
        choices = chunk.get("choices")
        if not choices or self._finish:
            return
        choice, delta = choices[0], choices[0].get("delta") or {}
        text = delta.get("content") or ""
        full = CONTEXT_FULL in text
        reason = "length" if full else choice.get("finish_reason")
        if reason == "length" and not full and not self._tokens and not text:
            await self._refuse()
            return
        self._tokens += reason is None
        kept = self._stop.feed(text.replace(CONTEXT_FULL, ""))
        if kept or delta.get("tool_calls"):
            await self._say({"delta": {**delta, "content": kept or None}})
        if self._stop.found:
            self._cut_short = True
            await self._finish_by("stop")
        elif reason or self._tokens == self._asked.limit:
            self._cut_short = reason is None
            await self._finish_by(reason or "length")

    async def _refuse(self) -> None:
        error = ApiError(400, "the prompt is too long", code="context_length_exceeded")
        if self._begun:
            await self._write(error.frame())
            await self._close()
        else:
            self._status = error.status
            await self._end_with(error.body())

    async def _finish_by(self, reason: str) -> None:
        rest = self._stop.rest()
        if rest:
            await self._say({"delta": {"content": rest}})
        self._finish = reason
        if not self._asked.usage:
            await self._done()

    async def _done(self) -> None:
        """The last chunk, the counts if they are asked for, and the end of the stream."""
        rest = self._stop.rest()
        if rest and not self._finish:
            await self._say({"delta": {"content": rest}})
        empty: dict[str, Any] = {"text": ""} if _is_text(self._frame) else {"delta": {}}
        await self._say(empty, finish=self._finish or "stop")
        if self._asked.usage and self._usage is not None:
            counts = {"choices": [], "usage": self._counts()}
            await self._write(_frame(_encode(self._frame | counts)))
        await self._write(_frame(DONE))
        await self._close()

    def _counts(self) -> dict[str, Any]:
        """The usage, of no more tokens than were sent."""
        usage = dict(self._usage or {})
        made, prompt = usage.get("completion_tokens", 0), usage.get("prompt_tokens", 0)
        if self._cut_short and self._tokens < made:
            usage |= {"completion_tokens": self._tokens, "total_tokens": prompt + self._tokens}
        return usage

    async def _say(self, piece: dict[str, Any], *, finish: str | None = None) -> None:
        choice = {"index": 0, **piece, "logprobs": None, "finish_reason": finish}
        await self._write(_frame(_encode(self._frame | {"choices": [choice]})))

    async def _write(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            headers = [*_about(self._headers), *_EVENTS]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _close(self) -> None:
        self.complete.set()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def is_plain_error(start: Message) -> bool:
    """Whether an answer that begins so is an error in plain text."""
    kind = dict(start["headers"]).get(b"content-type", b"").lower()
    return start["status"] >= 400 and not kind.startswith(b"application/json")


def error_object(start: Message, text: bytes) -> tuple[Message, bytes]:
    """The error object of an error in plain text."""
    error = error_of(start["status"], text)
    body = error.body()
    start = {**start, "status": error.status, "headers": _about(start["headers"])}
    return with_body(start, body, _JSON), body


def error_of(status: int, text: bytes) -> ApiError:
    """The error object of a plain text, with the status that it should have had."""
    said = " ".join(text.decode(errors="replace").split())
    if _TOO_LONG.search(said):
        return ApiError(400, said, code="context_length_exceeded")
    return ApiError(status, said or f"the guest answered {status} and nothing else")


def _about(headers: _Headers) -> _Headers:
    """The headers that are not about the body, which becomes another one."""
    return [
        pair for pair in headers if pair[0] not in _OF_BODY and not pair[0].startswith(b"content-")
    ]


def _is_text(frame: Mapping[str, Any]) -> bool:
    return frame.get("object") == "text_completion"


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _encode(value: Mapping[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_BREAKS)
    return text.encode(errors="replace")


def _frame(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"
