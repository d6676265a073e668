"""Anthropic's Messages API: https://docs.anthropic.com/en/api/messages."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from .bridge import CHAT, COUNT_TOKENS, NOTHING_DROPPED, Json, Stream, Translated
from .fields import Fields, wrong

_OBEYED = (
    "model", "max_tokens", "messages", "system", "stream", "temperature", "top_p", "top_k",
    "stop_sequences", "tools", "tool_choice", "thinking", "output_config", "cache_control",
    "metadata", "service_tier", "inference_geo",
)  # fmt: skip
"""The last four ask for nothing that a client could see here."""

_REFUSED = {
    "prefill": "begin the answer with a last message of the assistant's",
    "container": "there are no containers",
    "mcp_servers": "the server asks no other",
    "context_management": "nothing of a conversation is left out",
    "diagnostics": "there are none",
    "speed": "there is one speed",
    "user_profile_id": "nothing is kept of who asks",
    "workspace_id": "there are no workspaces",
}
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error",
    502: "api_error", 503: "overloaded_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip


class Messages:
    """POST /v1/messages."""

    async def read(self, request: Json) -> Translated:
        """As a chat completion."""
        fields = Fields(request)
        fields.refuse(_REFUSED)
        fields.only(_OBEYED)
        body = {"model": fields.need("model", str), **_conversation(fields)}
        body["max_tokens"] = _positive(fields, "max_tokens")
        for name, kind in (("temperature", float), ("top_p", float), ("top_k", int)):
            if (number := fields.take(name, kind)) is not None:
                body[name] = number
        if stops := fields.texts("stop_sequences"):
            body["stop"] = stops
        stream = _Events(body["model"]) if fields.take("stream", bool) else None
        if stream is not None:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
            body["return_progress"] = True  # which has the prompt's tokens
        return Translated(CHAT, body, stream, message, headers=(NOTHING_DROPPED,))

    def error(self, status: int, error: Json) -> Json:
        """Anthropic's error object."""
        return failure(status, error)


class CountTokens:
    """POST /v1/messages/count_tokens."""

    async def read(self, request: Json) -> Translated:
        """As a question for the tokens of a chat; like llama.cpp's server, of any model."""
        fields = Fields(request)
        fields.refuse(_REFUSED)
        fields.only(_OBEYED)
        named = {"model": model} if (model := fields.take("model", str)) else {}
        return Translated(COUNT_TOKENS, {**named, **_conversation(fields)}, None, _count)

    def error(self, status: int, error: Json) -> Json:
        """Anthropic's error object."""
        return failure(status, error)


def _count(answer: Json) -> Json:
    return {"input_tokens": answer["input_tokens"]}


def failure(status: int, error: Json) -> Json:
    """Anthropic's error object for OpenAI's."""
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    message, tokens, most = (error.get(name) for name in ("message", "n_prompt_tokens", "n_ctx"))
    if tokens is not None and most is not None:
        message = f"prompt is too long: {tokens} tokens > {most} maximum"
    return {"type": "error", "error": {"type": kind, "message": message}}


def _positive(fields: Fields, name: str) -> int:
    number: int = fields.need(name, int)
    if number < 1:
        raise wrong(fields.path(name), f"{number} is not a number from 1 up")
    return number


def _conversation(fields: Fields) -> Json:
    """What the model reads, and how it is to answer."""
    messages: list[Json] = []
    system = fields.take("system", str, list)
    if system:
        messages.append({"role": "system", "content": _text(system, "system")})
    for index, each in enumerate(fields.need("messages", list)):
        messages += _messages(Fields(each, f"messages[{index}]"))
    body: Json = {"messages": messages}
    if tools := fields.objects("tools"):
        body["tools"] = [_tool(each) for each in tools]
    if (choice := fields.take("tool_choice", dict)) is not None:
        body |= _choice(Fields(choice, "tool_choice"))
    if (thinking := fields.take("thinking", dict)) is not None:
        body |= _thinking(Fields(thinking, "thinking"))
    if (output := fields.take("output_config", dict)) is not None:
        body |= _output(Fields(output, "output_config"))
    return body


def _tool(fields: Fields) -> Json:
    kind = fields.take("type", str)
    if kind not in (None, "custom"):
        raise wrong(
            fields.path("type"),
            f"{kind!r} is a tool of Anthropic's own; only custom ones are taken",
        )
    function = {
        "name": fields.need("name", str),
        "description": fields.take("description", str) or "",
        "parameters": fields.need("input_schema", dict),
    }
    return {"type": "function", "function": function}


def _choice(fields: Fields) -> Json:
    fields.need("type", str)
    kind = fields.one("type", (*_CHOICES, "tool"))
    found: Json = {}
    if kind == "tool":
        function = {"name": fields.need("name", str)}
        found["tool_choice"] = {"type": "function", "function": function}
    else:
        found["tool_choice"] = _CHOICES[str(kind)]
    if fields.take("disable_parallel_tool_use", bool):
        found["parallel_tool_calls"] = False
    return found


def _thinking(fields: Fields) -> Json:
    fields.need("type", str)
    kind = fields.one("type", ("enabled", "disabled", "adaptive"))
    if kind == "disabled":
        return {"reasoning_effort": "none"}
    if kind == "adaptive":
        return {}
    budget = _positive(fields, "budget_tokens")
    return {"chat_template_kwargs": {"enable_thinking": True}, "reasoning_budget": budget}


def _output(fields: Fields) -> Json:
    found: Json = {}
    if effort := fields.one("effort", _EFFORTS):
        found["reasoning_effort"] = _EFFORTS[effort]
    if (wanted := fields.take("format", dict)) is not None:
        layout = Fields(wanted, fields.path("format"))
        layout.one("type", ("json_schema",))
        schema = {"name": "answer", "schema": layout.need("schema", dict)}
        found["response_format"] = {"type": "json_schema", "json_schema": schema}
    return found


def _messages(fields: Fields) -> Iterator[Json]:
    """A message as one or more of OpenAI's: results of tools are messages of their own."""
    fields.need("role", str)
    role = fields.one("role", ("user", "assistant", "system"))
    content = fields.need("content", str, list)
    where = fields.path("content")
    if isinstance(content, str):
        yield {"role": role, "content": content}
        return
    blocks = [Fields(each, f"{where}[{index}]") for index, each in enumerate(content)]
    if role == "assistant":
        yield _assistant(blocks)
        return
    parts: list[Json] = []
    for block in blocks:
        if block.take("type", str) == "tool_result":
            yield _result(block)
        else:
            parts.append(_part(block))
    if parts:
        yield {"role": role, "content": parts}


def _assistant(blocks: list[Fields]) -> Json:
    texts, thoughts, calls = [], [], []
    for block in blocks:
        kind = block.one("type", ("text", "thinking", "redacted_thinking", "tool_use"))
        if kind == "text":
            texts.append(block.need("text", str))
        elif kind == "thinking":
            thoughts.append(block.need("thinking", str))
        elif kind == "tool_use":
            calls.append(_call(block))
    said: Json = {"role": "assistant", "content": "".join(texts)}
    if thoughts:
        said["reasoning_content"] = "".join(thoughts)
    if calls:
        said["tool_calls"] = calls
    return said


def _call(block: Fields) -> Json:
    arguments = json.dumps(block.need("input", dict))
    function = {"name": block.need("name", str), "arguments": arguments}
    return {"id": block.need("id", str), "type": "function", "function": function}


def _result(block: Fields) -> Json:
    content = block.take("content", str, list)
    text = _text(content, block.path("content")) if content else ""
    if block.take("is_error", bool):
        text = f"Error: {text}"
    return {"role": "tool", "tool_call_id": block.need("tool_use_id", str), "content": text}


def _part(block: Fields) -> Json:
    kind = block.one("type", ("text", "image", "document", "tool_result"), otherwise="text")
    if kind == "text":
        return {"type": "text", "text": block.need("text", str)}
    source = Fields(block.need("source", dict), block.path("source"))
    if kind == "document":
        source.one("type", ("text",))
        return {"type": "text", "text": source.need("data", str)}
    if source.one("type", ("base64", "url")) == "url":
        return {"type": "image_url", "image_url": {"url": source.need("url", str)}}
    media, data = source.need("media_type", str), source.need("data", str)
    return {"type": "image_url", "image_url": {"url": f"data:{media};base64,{data}"}}


def _text(content: str | list[Any], where: str) -> str:
    """A text, or blocks of text."""
    if isinstance(content, str):
        return content
    texts = []
    for index, each in enumerate(content):
        block = Fields(each, f"{where}[{index}]")
        block.one("type", ("text",))
        texts.append(block.need("text", str))
    return "\n".join(texts)


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
        arguments = json.loads(function["arguments"] or "{}")
        block = {"type": "tool_use", "id": call["id"], "name": function["name"]}
        blocks.append({**block, "input": arguments})
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


class _Events(Stream):
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
            yield from self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            yield self._add({"type": "thinking_delta", "thinking": thought})
        if text := delta.get("content"):
            yield from self._open("text", {"type": "text", "text": ""})
            yield self._add({"type": "text_delta", "text": text})
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            if call.get("id"):
                block = {"type": "tool_use", "id": call["id"], "name": function.get("name", "")}
                yield from self._open(f"call {call['index']}", {**block, "input": {}})
            if arguments := function.get("arguments"):
                yield self._add({"type": "input_json_delta", "partial_json": arguments})

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
            self._block = None
            yield _event({"type": "content_block_stop", "index": self._index})

    def _add(self, delta: Json) -> bytes:
        return _event({"type": "content_block_delta", "index": self._index, "delta": delta})


def _event(data: Json) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()
