"""What Ollama's clients are answered: whole, in lines of JSON, and errors."""

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from ..bridge import Answered, Json, Translated, arguments
from ..fields import Fields
from .request import lets_go

Unload = Callable[[str], Awaitable[None]]
"""Unloads the model of a name."""

LINES = "application/x-ndjson"
_MILLISECOND = 1_000_000  # nanoseconds


def failure(error: Json) -> Json:
    """Ollama's error for OpenAI's error object."""
    return {"error": error["message"]}


class Failing:
    """An endpoint whose errors are told as Ollama tells them."""

    def error(self, status: int, error: Json) -> Json:
        """As Dialect's."""
        return failure(error)


def now() -> str:
    """The time as Ollama writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class Told:
    """Tells an answer, whole or in lines of JSON, under the ``key`` of its endpoint.

    ``unknown`` are the fields of the request that do nothing here.
    """

    media_type = LINES

    def __init__(self, fields: Fields, *, key: str, unknown: Sequence[str]) -> None:
        self._unknown = unknown
        self._model = fields.need("model", str)
        self._goes = lets_go(fields)
        self._streams = fields.take("stream", bool) is not False
        self._key = key
        self._began = time.monotonic_ns()
        self._first: int | None = None
        self._calls: list[Json] = []
        self._reason = "stop"
        self._usage: Json = {}
        self._timings: Json = {}

    def translated(self, path: str, body: Json) -> Translated:
        """The request for OpenAI's endpoint ``path``."""
        if self._streams:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        stream = self if self._streams else None
        return Translated(path, body, stream, self._answer, unknown=self._unknown)

    async def loaded(self, unload: Unload) -> Answered:
        """The answer to a request that says nothing; one that keeps nothing alive unloads."""
        if self._goes:
            await unload(self._model)
        reason = "unload" if self._goes else "load"
        said = self._said({"content": ""}) | {"done": True, "done_reason": reason}
        return Answered(said, self._unknown)

    def _answer(self, answer: Json) -> Json:
        choice = answer["choices"][0]
        self._usage, self._reason = answer["usage"], choice["finish_reason"]
        self._timings = answer.get("timings") or {}
        said = choice.get("message") or {"content": choice.get("text", "")}
        self._take_calls(said.get("tool_calls") or ())
        return self._said(said, _told_calls(self._calls)) | self._last()

    def chunk(self, chunk: Json) -> bytes:
        """A line, as Stream's."""
        self._usage = chunk.get("usage") or self._usage
        self._timings = chunk.get("timings") or self._timings
        lines = []
        for choice in chunk["choices"]:
            delta = choice.get("delta") or {"content": choice.get("text", "")}
            self._take_calls(delta.get("tool_calls") or ())
            self._reason = choice.get("finish_reason") or self._reason
            if delta.get("content") or delta.get("reasoning_content"):
                self._first = self._first or time.monotonic_ns()
                lines.append(line(self._said(delta) | {"done": False}))
        return b"".join(lines)

    def silence(self) -> bytes:
        """Nothing: lines of JSON have no comments."""
        return b""

    def end(self) -> bytes:
        """The last line, as Stream's, after the calls."""
        empty, told = {"content": ""}, _told_calls(self._calls)
        calls = line(self._said(empty, told) | {"done": False}) if told else b""
        return calls + line(self._said(empty) | self._last())

    def fail(self, status: int, error: Json) -> bytes:
        """As Stream's."""
        return line(failure(error))

    def _said(self, said: Json, calls: list[Json] | None = None) -> Json:
        text, thought = said.get("content") or "", said.get("reasoning_content")
        head: Json = {"model": self._model, "created_at": now()}
        if self._key == "response":
            return {**head, "response": text, **({"thinking": thought} if thought else {})}
        message: Json = {"role": "assistant", "content": text}
        if thought:
            message["thinking"] = thought
        if calls:
            message["tool_calls"] = calls
        return {**head, "message": message}

    def _take_calls(self, pieces: Any) -> None:
        """Put together what comes in pieces."""
        for piece in pieces:
            function = piece.get("function") or {}
            if piece.get("id"):
                named = {"id": piece["id"], "name": function.get("name", "")}
                self._calls.append(named | {"arguments": ""})
            if self._calls:
                self._calls[-1]["arguments"] += function.get("arguments") or ""

    def _last(self) -> Json:
        end = time.monotonic_ns()
        found: Json = {
            "done": True,
            "done_reason": "length" if self._reason == "length" else "stop",
            "total_duration": end - self._began,
            "load_duration": 0,
            "prompt_eval_count": self._usage.get("prompt_tokens", 0),
            "eval_count": self._usage.get("completion_tokens", 0),
        }
        if self._timings:
            found["prompt_eval_duration"] = int(self._timings["prompt_ms"] * _MILLISECOND)
            found["eval_duration"] = int(self._timings["predicted_ms"] * _MILLISECOND)
        elif self._first is not None:
            found["prompt_eval_duration"] = self._first - self._began
            found["eval_duration"] = end - self._first
        return found


def _told_calls(calls: Sequence[Json]) -> list[Json]:
    """The calls as Ollama tells them, without one that was cut off."""
    read = [each | {"arguments": arguments(each)} for each in calls]
    whole = [each for each in read if each["arguments"] is not None]
    return [_told_call(*each) for each in enumerate(whole)]


def _told_call(index: int, call: Json) -> Json:
    function = {"index": index, "name": call["name"], "arguments": call["arguments"]}
    return {"id": call["id"], "function": function}


def line(found: Json) -> bytes:
    """A line of JSON."""
    return json.dumps(found).encode() + b"\n"
