"""POST /embedding."""

from typing import Any

from ... import guest_api
from ...describe import (
    GUEST,
    JSON,
    NUMBER,
    STRING,
    Described,
    array,
    nullable,
    operation,
    record,
)
from ..bridge import EMBEDDINGS, Json, Translated
from ..fields import Fields
from .completion import Completion

_KNOWN = ("content", "input", "model")


class Embedding(Completion):
    """POST /embedding."""

    async def read(self, request: Json) -> Translated:
        """As embeddings."""
        fields = Fields(request)
        text = fields.take("content", str, list, dict)
        if text is None:
            text = fields.need("input", str, list, dict)
        body = {"input": text}
        if (model := fields.take("model", str)) is not None:
            body["model"] = model

        def answer(found: Json) -> Any:
            return [
                {"index": each["index"], "embedding": [each["embedding"]]} for each in found["data"]
            ]

        return Translated(EMBEDDINGS, body, None, answer, unknown=fields.others(_KNOWN))


DESCRIBED: Described = {
    ("/embedding", "POST"): operation(
        "llama.cpp's embeddings",
        tag="llama.cpp",
        body=record({"content": guest_api.INPUT}, model=nullable(STRING)),
        answers={JSON: array(record({"embedding": array(array(NUMBER))}))},
        errors=(404, *GUEST),
    ),
}
