"""POST /v1/messages and /v1/messages/count_tokens."""

from ..bridge import CHAT, COUNT_TOKENS, NOTHING_DROPPED, Json, Translated
from .answer import Events, failure, message
from .request import conversation, positive


class Messages:
    """POST /v1/messages."""

    async def read(self, request: Json) -> Translated:
        """As a chat completion."""
        fields, asked, unknown = conversation(request)
        body = {"model": fields.need("model", str), **asked}
        body["max_tokens"] = positive(fields, "max_tokens")
        for name in ("temperature", "top_p"):
            if (number := fields.take(name, float)) is not None:
                body[name] = number
        if (top_k := fields.take("top_k", int)) is not None:
            body["top_k"] = top_k
        if stops := fields.texts("stop_sequences"):
            body["stop"] = stops
        stream = Events(body["model"]) if fields.take("stream", bool) else None
        if stream is not None:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
            body["return_progress"] = True  # which has the prompt's tokens
        return Translated(CHAT, body, stream, message, headers=(NOTHING_DROPPED,), unknown=unknown)

    def error(self, status: int, error: Json) -> Json:
        """Anthropic's error object."""
        return failure(status, error)


class CountTokens:
    """POST /v1/messages/count_tokens."""

    async def read(self, request: Json) -> Translated:
        """As a question for the tokens of a chat; like llama.cpp's server, of any model."""
        fields, asked, unknown = conversation(request)
        model = fields.take("model", str)
        named = {} if model is None else {"model": model}
        return Translated(COUNT_TOKENS, {**named, **asked}, None, _count, unknown=unknown)

    def error(self, status: int, error: Json) -> Json:
        """Anthropic's error object."""
        return failure(status, error)


def _count(answer: Json) -> Json:
    return {"input_tokens": answer["input_tokens"]}
