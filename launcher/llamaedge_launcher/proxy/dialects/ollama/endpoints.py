"""What computes: /api/chat, /api/generate, /api/embed and /api/embeddings."""

import time

from ..bridge import CHAT, COMPLETIONS, EMBEDDINGS, Answered, Json, Translated
from ..fields import Fields
from .answer import Failing, Told, Unload
from .request import (
    Context,
    content_of,
    lets_go,
    message_of,
    settings_of,
    unknown_of,
    unread_of,
)

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


class Chat(Failing):
    """POST /api/chat."""

    def __init__(self, context: Context, unload: Unload) -> None:
        self._context = context
        self._unload = unload

    async def read(self, request: Json) -> Translated | Answered:
        """As a chat completion; one without messages only loads the model, or unloads it."""
        fields = Fields(request)
        fields.refuse(_REFUSED)
        told = Told(fields, key="message", unknown=unknown_of(fields, (*_CHAT, *_REFUSED)))
        settings = await settings_of(fields, self._context)
        messages = fields.objects("messages")
        tools = fields.objects("tools") and fields.take("tools", list)
        if not messages:
            return await told.loaded(self._unload)
        body = {
            "messages": [message_of(each) for each in messages],
            **settings,
        }
        if tools:
            body["tools"] = tools
        return told.translated(CHAT, body)


class Generate(Failing):
    """POST /api/generate."""

    def __init__(self, context: Context, unload: Unload) -> None:
        self._context = context
        self._unload = unload

    async def read(self, request: Json) -> Translated | Answered:
        """As a chat completion of one message, or as it is a completion if it is ``raw``."""
        fields = Fields(request)
        fields.refuse(_REFUSED)
        told = Told(fields, key="response", unknown=unknown_of(fields, (*_GENERATE, *_REFUSED)))
        settings = await settings_of(fields, self._context)
        prompt, suffix = fields.take("prompt", str), fields.take("suffix", str)
        system, raw = fields.take("system", str), fields.take("raw", bool)
        content = content_of(prompt or "", fields)
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


class Embed(Failing):
    """POST /api/embed."""

    async def read(self, request: Json) -> Translated | Answered:
        """As embeddings; of nothing there are none."""
        fields = Fields(request)
        unknown = unread_of(fields, _EMBED)
        model = fields.need("model", str)
        text = fields.need("input", str, list)
        body = {"model": model, "input": text if isinstance(text, str) else fields.texts("input")}
        body["truncate"] = fields.take("truncate", bool) is not False
        if (dimensions := fields.take("dimensions", int)) is not None:
            body["dimensions"] = dimensions
        lets_go(fields)
        if not text:
            return Answered({"model": model, "embeddings": []}, unknown)
        began = time.monotonic_ns()

        def answer(found: Json) -> Json:
            return {
                "model": model,
                "embeddings": [each["embedding"] for each in found["data"]],
                "total_duration": time.monotonic_ns() - began,
                "load_duration": 0,
                "prompt_eval_count": found["usage"]["prompt_tokens"],
            }

        return Translated(EMBEDDINGS, body, None, answer, unknown=unknown)


class Embeddings(Failing):
    """POST /api/embeddings, which /api/embed has replaced."""

    async def read(self, request: Json) -> Translated | Answered:
        """As embeddings; of nothing there is none."""
        fields = Fields(request)
        unknown = unread_of(fields, _EMBEDDINGS)
        lets_go(fields)
        body = {"model": fields.need("model", str), "input": fields.need("prompt", str)}
        if not body["input"]:
            return Answered({"embedding": []}, unknown)
        return Translated(EMBEDDINGS, body | {"truncate": True}, None, _vector, unknown=unknown)


def _vector(found: Json) -> Json:
    return {"embedding": found["data"][0]["embedding"]}
