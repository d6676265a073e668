"""What Anthropic's clients are answered: messages, their events, and errors."""

import json
import uuid
from collections.abc import Iterator

from ..bridge import Json, Stream, arguments

_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error",
    502: "api_error", 503: "overloaded_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip

_THINKING = "thinking"


def failure(status: int, error: Json) -> Json:
    """Anthropic's error object for OpenAI's."""
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    message = error["message"]
    if "n_prompt_tokens" in error and "n_ctx" in error:
        tokens, most = error["n_prompt_tokens"], error["n_ctx"]
        message = f"prompt is too long: {tokens} tokens > {most} maximum"
    return {"type": "error", "error": {"type": kind, "message": message}}


def message(answer: Json) -> Json:
    """Anthropic's message for a chat completion."""
    choice = answer["choices"][0]
    said = choice["message"]
    blocks: list[Json] = []
    if thought := said.get("reasoning_content"):
        blocks.append({"type": "thinking", "thinking": thought, "signature": ""})
    if text := said.get("content"):
        blocks.append({"type": "text", "text": text})
    for call in said.get("tool_calls") or ():
        function = call["function"]
        if (given := arguments(function)) is not None:
            block = {"type": "tool_use", "id": call["id"], "name": function["name"]}
            blocks.append({**block, "input": given})
    reason, sequence = _stopped(choice)
    return {
        **_head(answer["model"]),
        "content": blocks,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": _usage(answer["usage"]),
    }


def _head(model: str) -> Json:
    id_ = f"msg_{uuid.uuid4().hex[:24]}"
    return {"id": id_, "type": "message", "role": "assistant", "model": model}


def _stopped(choice: Json) -> tuple[str, str | None]:
    """Why it ended, and at which of the request's texts, as far as the guest tells."""
    sequence = choice.get("stop_reason")
    if isinstance(sequence, str):
        return "stop_sequence", sequence
    return _REASONS[choice["finish_reason"]], None


def _usage(usage: Json) -> Json:
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return {
        **_input(usage["prompt_tokens"], cached),
        "output_tokens": usage["completion_tokens"],
    }


def _input(tokens: int, cached: int) -> Json:
    return {
        "input_tokens": tokens - cached,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
    }


def _says(chunk: Json) -> bool:
    """Whether there is more in a chunk than whose message it is."""
    choices = chunk["choices"]
    told = [value for each in choices for name, value in each["delta"].items() if name != "role"]
    return bool(chunk.get("usage")) or any(told) or any(each["finish_reason"] for each in choices)


class Events(Stream):
    """The named events of a message."""

    media_type = "text/event-stream"

    def __init__(self, model: str) -> None:
        self._model = model
        self._begun = False
        self._block: str | None = None
        self._index = -1
        self._reason, self._sequence = "end_turn", None  # type: str, str | None
        self._used: Json = {"output_tokens": 0}

    def chunk(self, chunk: Json) -> bytes:
        """As Stream's."""
        progress = chunk.get("prompt_progress")
        if not (self._begun or progress or _says(chunk)):
            return b""
        events = list(self._begin(chunk.get("model", self._model), progress))
        if usage := chunk.get("usage"):
            self._used = _usage(usage)
        for choice in chunk["choices"]:
            events += self._delta(choice.get("delta") or {})
            if choice.get("finish_reason"):
                self._reason, self._sequence = _stopped(choice)
        return b"".join(events)

    def silence(self) -> bytes:
        """As Stream's."""
        return b"".join((*self._begin(self._model), _event({"type": "ping"})))

    def end(self) -> bytes:
        """As Stream's."""
        delta = {"stop_reason": self._reason, "stop_sequence": self._sequence}
        last = {"type": "message_delta", "delta": delta, "usage": self._used}
        events = [*self._begin(self._model), *self._close(), _event(last)]
        return b"".join((*events, _event({"type": "message_stop"})))

    def fail(self, status: int, error: Json) -> bytes:
        """As Stream's."""
        return _event(failure(status, error))

    def _begin(self, model: str, progress: Json | None = None) -> Iterator[bytes]:
        if not self._begun:
            self._begun = True
            empty: Json = {"content": [], "stop_reason": None, "stop_sequence": None}
            usage: Json = {"input_tokens": 0, "output_tokens": 0}
            if progress:
                usage |= _input(progress["total"], progress["cache"])
            yield _event(
                {"type": "message_start", "message": {**_head(model), **empty, "usage": usage}}
            )

    def _delta(self, delta: Json) -> Iterator[bytes]:
        if thought := delta.get("reasoning_content"):
            yield from self._open(_THINKING, {"type": _THINKING, "thinking": "", "signature": ""})
            yield self._add({"type": "thinking_delta", "thinking": thought})
        if text := delta.get("content"):
            yield from self._open("text", {"type": "text", "text": ""})
            yield self._add({"type": "text_delta", "text": text})
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            if call.get("id"):
                block = {"type": "tool_use", "id": call["id"], "name": function.get("name", "")}
                yield from self._open(f"call {call['index']}", {**block, "input": {}})
            if more := function.get("arguments"):
                yield self._add({"type": "input_json_delta", "partial_json": more})

    def _open(self, name: str, block: Json) -> Iterator[bytes]:
        """The beginning of a block, unless the one that is open is the same."""
        if name != self._block:
            yield from self._close()
            self._block = name
            self._index += 1
            start = {"type": "content_block_start", "index": self._index}
            yield _event({**start, "content_block": block})

    def _close(self) -> Iterator[bytes]:
        if self._block is not None:
            if self._block == _THINKING:
                # Clients take what was thought for complete with it, and send it back then.
                yield self._add({"type": "signature_delta", "signature": ""})
            self._block = None
            yield _event({"type": "content_block_stop", "index": self._index})

    def _add(self, delta: Json) -> bytes:
        return _event({"type": "content_block_delta", "index": self._index, "delta": delta})


def _event(data: Json) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()
