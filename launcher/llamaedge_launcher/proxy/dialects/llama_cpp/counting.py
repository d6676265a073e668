"""POST /v1/chat/completions/input_tokens, for guests that have no such endpoint."""

from ..bridge import CHAT, Json, Translated

_NOT_OF_A_COUNT = ("stream", "stream_options", "n", "max_completion_tokens")


class CountByAnswering:
    """The conversation is read, and one token made."""

    async def read(self, request: Json) -> Translated:
        """As a chat completion of one token."""
        kept = {name: value for name, value in request.items() if name not in _NOT_OF_A_COUNT}
        return Translated(CHAT, {**kept, "max_tokens": 1}, None, _count)

    def error(self, status: int, error: Json) -> Json:
        """OpenAI's error object."""
        return {"error": error}


def _count(answer: Json) -> Json:
    tokens = answer["usage"]["prompt_tokens"]
    return {"object": "response.input_tokens", "input_tokens": tokens}
