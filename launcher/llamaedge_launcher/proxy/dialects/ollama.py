"""Ollama's API, what computes: https://github.com/ollama/ollama/blob/main/docs/api.md."""

import json
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from .bridge import CHAT, COMPLETIONS, EMBEDDINGS, Json, Translated
from .fields import Fields, wrong

Unload = Callable[[str], Awaitable[None]]
"""Unloads the model of a name."""

Context = Callable[[], Awaitable[int | None]]
"""Asks how many tokens the chat model's context has, None if that is not known."""

_COMMON = ("model", "stream", "options", "format", "keep_alive", "think")
_CHAT = (*_COMMON, "messages", "tools")
_GENERATE = (*_COMMON, "prompt", "system", "images", "raw", "suffix")
_EMBED = ("model", "input", "truncate", "dimensions", "options", "keep_alive")
_EMBEDDINGS = ("model", "prompt", "options", "keep_alive")
_REFUSED = {
    "template": "the template is the server's: llamaedge run --chat-template",
    "context": "send the conversation to /api/chat",
    "logprobs": "ask /v1/chat/completions for probabilities",
    "top_logprobs": "ask /v1/chat/completions for probabilities",
    "width": "the server makes no pictures",
    "height": "the server makes no pictures",
    "steps": "the server makes no pictures",
}
_OPTIONS: dict[str, tuple[str, type]] = {
    "seed": ("seed", int),
    "num_predict": ("max_tokens", int),
    "top_k": ("top_k", int),
    "top_p": ("top_p", float),
    "min_p": ("min_p", float),
    "typical_p": ("typical_p", float),
    "repeat_last_n": ("repeat_last_n", int),
    "temperature": ("temperature", float),
    "repeat_penalty": ("repeat_penalty", float),
    "presence_penalty": ("presence_penalty", float),
    "frequency_penalty": ("frequency_penalty", float),
    "mirostat": ("mirostat", int),
    "mirostat_tau": ("mirostat_tau", float),
    "mirostat_eta": ("mirostat_eta", float),
    "stop": ("stop", list),
}
"""What OpenAI's endpoint calls them here, and their types."""

_PLACES = (
    "numa", "num_batch", "num_gpu", "main_gpu", "low_vram", "use_mmap", "use_mlock", "num_thread",
    "num_keep",
)  # fmt: skip
"""They say how a model is computed, not what it answers; the server's own options do."""

_NOT_OPTIONS = {
    "vocab_only": "the model would answer nothing",
    "logits_all": "there are no logits to have",
    "embedding_only": "ask /api/embed",
    "tfs_z": "llama.cpp has this sampler no more",
}
_NO_TIME = re.compile(r"0+(ns|us|ms|s|m|h)?")
_MAGIC = {"/9j/": "jpeg", "iVBOR": "png", "R0lG": "gif", "UklG": "webp", "Qk": "bmp"}


class Chat:
    """POST /api/chat."""

    def __init__(self, context: Context, unload: Unload) -> None:
        self._context = context
        self._unload = unload

    async def read(self, request: Json) -> Translated | Json:
        """As a chat completion; one without messages only loads the model, or unloads it."""
        fields = Fields(request)
        fields.refuse(_REFUSED)
        fields.only(_CHAT)
        told = _Told(fields, key="message")
        settings = await _settings(fields, self._context)
        messages = fields.objects("messages")
        tools = fields.objects("tools") and fields.take("tools", list)
        if not messages:
            return await told.loaded(self._unload)
        body = {
            "messages": [_message(each) for each in messages],
            **settings,
        }
        if tools:
            body["tools"] = tools
        return told.translated(CHAT, body)

    def error(self, status: int, error: Json) -> Json:
        """Ollama's error."""
        return failure(error)


class Generate:
    """POST /api/generate."""

    def __init__(self, context: Context, unload: Unload) -> None:
        self._context = context
        self._unload = unload

    async def read(self, request: Json) -> Translated | Json:
        """As a chat completion of one message, or as it is a completion if it is ``raw``."""
        fields = Fields(request)
        fields.refuse(_REFUSED)
        fields.only(_GENERATE)
        told = _Told(fields, key="response")
        settings = await _settings(fields, self._context)
        prompt, suffix = fields.take("prompt", str), fields.take("suffix", str)
        system, raw = fields.take("system", str), fields.take("raw", bool)
        content = _content(prompt or "", fields)
        if not prompt:
            return await told.loaded(self._unload)
        if raw or suffix:
            fields.refuse(dict.fromkeys(("system", "images", "think"), "a raw prompt has none"))
            return told.translated(
                COMPLETIONS,
                {"prompt": prompt, **({"suffix": suffix} if suffix else {}), **settings},
            )
        messages: list[Json] = [{"role": "user", "content": content}]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        return told.translated(CHAT, {"messages": messages, **settings})

    def error(self, status: int, error: Json) -> Json:
        """Ollama's error."""
        return failure(error)


class Embed:
    """POST /api/embed."""

    async def read(self, request: Json) -> Translated:
        """As embeddings."""
        fields = Fields(request)
        fields.only(_EMBED)
        model = fields.need("model", str)
        text = fields.need("input", str, list)
        body = {"model": model, "input": text if isinstance(text, str) else fields.texts("input")}
        _check_keeping(fields)
        if (dimensions := fields.take("dimensions", int)) is not None:
            body["dimensions"] = dimensions
        began = time.monotonic_ns()

        def answer(found: Json) -> Json:
            return {
                "model": model,
                "embeddings": [each["embedding"] for each in found["data"]],
                "total_duration": time.monotonic_ns() - began,
                "load_duration": 0,
                "prompt_eval_count": found["usage"]["prompt_tokens"],
            }

        return Translated(EMBEDDINGS, body, None, answer)

    def error(self, status: int, error: Json) -> Json:
        """Ollama's error."""
        return failure(error)


class Embeddings:
    """POST /api/embeddings, which /api/embed has replaced."""

    async def read(self, request: Json) -> Translated:
        """As embeddings."""
        fields = Fields(request)
        fields.only(_EMBEDDINGS)
        _check_keeping(fields)
        body = {"model": fields.need("model", str), "input": fields.need("prompt", str)}
        return Translated(
            EMBEDDINGS, body, None, lambda found: {"embedding": found["data"][0]["embedding"]}
        )

    def error(self, status: int, error: Json) -> Json:
        """Ollama's error."""
        return failure(error)


def failure(error: Json) -> Json:
    """Ollama's error for OpenAI's error object."""
    return {"error": error["message"]}


def now() -> str:
    """The time as Ollama writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _check_keeping(fields: Fields) -> bool:
    """Whether the model is not to stay.

    Another ``keep_alive`` asks for nothing that a client could see: a model that goes comes back
    with the next request.
    """
    given = fields.take("keep_alive", float, str)
    fields.take("truncate", bool)
    return given == 0 or (isinstance(given, str) and _NO_TIME.fullmatch(given) is not None)


async def _settings(fields: Fields, context: Context) -> Json:
    """What the fields that both endpoints have say."""
    found: Json = {"model": fields.need("model", str)}
    found |= _format(fields)
    think = fields.take("think", bool, str)
    if think is False:
        found["reasoning_effort"] = "none"
    elif think is True:
        found["chat_template_kwargs"] = {"enable_thinking": True}
    elif think is not None:
        found["reasoning_effort"] = fields.one("think", ("low", "medium", "high"))
    options = Fields(fields.take("options", dict) or {}, "options")
    options.refuse(_NOT_OPTIONS)
    options.only((*_OPTIONS, *_PLACES, "num_ctx", "penalize_newline"))
    if options.take("penalize_newline", bool) is False:
        raise wrong("options.penalize_newline", "the penalties are for every token")
    for name, (called, kind) in _OPTIONS.items():
        if (value := options.take(name, kind)) is not None:
            found[called] = value
    if found.get("max_tokens", 0) < 0:
        found["max_tokens"] = -1
    await _check_context(options, context)
    return found


async def _check_context(options: Fields, context: Context) -> None:
    """A context that the model has, or a part of it, is granted."""
    wanted = options.take("num_ctx", int)
    there = await context() if wanted is not None else None
    if wanted is not None and (there is None or wanted > there):
        has = "is not known" if there is None else f"has {there} tokens"
        reason = f"{wanted} tokens are asked for, and the model's context {has};"
        raise wrong("options.num_ctx", f"{reason} start it with --ctx-size {wanted}")


def _format(fields: Fields) -> Json:
    layout = fields.take("format", str, dict)
    if not layout:
        return {}
    if isinstance(layout, dict):
        schema = {"name": "answer", "schema": layout}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    fields.one("format", ("json",))
    return {"response_format": {"type": "json_object"}}


def _message(fields: Fields) -> Json:
    role = fields.one("role", ("system", "user", "assistant", "tool"), otherwise="user")
    text = fields.take("content", str) or ""
    said: Json = {"role": role, "content": _content(text, fields)}
    if thought := fields.take("thinking", str):
        said["reasoning_content"] = thought
    if calls := fields.objects("tool_calls"):
        said["tool_calls"] = [_call(each, number) for number, each in enumerate(calls)]
    if role == "tool":
        said["tool_call_id"] = (
            fields.take("tool_call_id", str) or fields.take("tool_name", str) or ""
        )
    return said


def _call(fields: Fields, number: int) -> Json:
    function = Fields(fields.need("function", dict), fields.path("function"))
    arguments = json.dumps(function.take("arguments", dict) or {})
    id_ = fields.take("id", str) or f"call_{number}"
    named = {"name": function.need("name", str), "arguments": arguments}
    return {"id": id_, "type": "function", "function": named}


def _content(text: str, fields: Fields) -> str | list[Json]:
    """The text, with the pictures if there are some."""
    images = fields.texts("images")
    if not images:
        return text
    parts: list[Json] = [{"type": "text", "text": text}]
    for each in images:
        kind = next((kind for start, kind in _MAGIC.items() if each.startswith(start)), "png")
        url = f"data:image/{kind};base64,{each}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return parts


class _Told:
    """Tells an answer, whole or in lines of JSON, under the ``key`` of its endpoint."""

    media_type = "application/x-ndjson"

    def __init__(self, fields: Fields, *, key: str) -> None:
        self._model = fields.need("model", str)
        self._goes = _check_keeping(fields)
        self._streams = fields.take("stream", bool) is not False
        self._key = key
        self._began = time.monotonic_ns()
        self._first: int | None = None
        self._calls: list[Json] = []
        self._reason = "stop"
        self._usage: Json = {}

    def translated(self, path: str, body: Json) -> Translated:
        """The request for OpenAI's endpoint ``path``."""
        if self._streams:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return Translated(path, body, self if self._streams else None, self._answer)

    async def loaded(self, unload: Unload) -> Json:
        """The answer to a request that says nothing; one that keeps nothing alive unloads."""
        if self._goes:
            await unload(self._model)
        reason = "unload" if self._goes else "load"
        return self._said({"content": ""}) | {"done": True, "done_reason": reason}

    def _answer(self, answer: Json) -> Json:
        choice = answer["choices"][0]
        self._usage, self._reason = answer["usage"], choice["finish_reason"]
        said = choice.get("message") or {"content": choice.get("text", "")}
        self._take_calls(said.get("tool_calls") or ())
        return self._said(said, self._calls) | self._last()

    def chunk(self, chunk: Json) -> bytes:
        """A line, as Stream's."""
        self._usage = chunk.get("usage") or self._usage
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
        empty = {"content": ""}
        calls = line(self._said(empty, self._calls) | {"done": False}) if self._calls else b""
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
            message["tool_calls"] = [_told_call(each) for each in calls]
        return {**head, "message": message}

    def _take_calls(self, pieces: Any) -> None:
        """Put together what comes in pieces."""
        for piece in pieces:
            function = piece.get("function") or {}
            if piece.get("id"):
                self._calls.append({"name": function.get("name", ""), "arguments": ""})
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
        if self._first is not None:
            found["prompt_eval_duration"] = self._first - self._began
            found["eval_duration"] = end - self._first
        return found


def _told_call(call: Json) -> Json:
    arguments = json.loads(call["arguments"] or "{}")
    return {"function": {"name": call["name"], "arguments": arguments}}


def line(found: Json) -> bytes:
    """A line of JSON."""
    return json.dumps(found).encode() + b"\n"
