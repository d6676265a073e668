"""/rerank: documents in the order of what they have to do with a query.

Jina's, whose API llama.cpp's server has, and Hugging Face's text embeddings inference, told by its
field ``texts``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...body import read_json
from ...describe import (
    BOOLEAN,
    COUNT,
    GUEST,
    JSON,
    NUMBER,
    STRING,
    Described,
    array,
    const,
    nullable,
    operation,
    record,
)
from ...questions import Questions
from ..fields import UNKNOWN, Fields, named, wrong

PATHS = ("/rerank", "/reranking", "/v1/rerank", "/v1/reranking")
_KNOWN = ("query", "documents", "texts", "top_n", "return_documents", "return_text", "model")
_MOST = 4096  # documents
_DOCUMENT = {"anyOf": [STRING, record({"text": STRING})]}
_RANKED = record({"index": COUNT, "relevance_score": NUMBER})
_FOUND = record(
    {
        "model": STRING,
        "object": const("list"),
        "results": array(_RANKED),
        "usage": record({"prompt_tokens": COUNT, "total_tokens": COUNT}),
    }
)
_TOP: dict[str, Any] = {"type": "integer", "minimum": 1}
_RERANK = operation(
    "Order documents by what they have to do with a query; with `texts` as TEI answers it",
    tag="llama.cpp",
    body=record(
        {"query": {**STRING, "minLength": 1}},
        documents=nullable(array(_DOCUMENT, minItems=1, maxItems=_MOST)),
        texts=nullable(array(STRING, minItems=1, maxItems=_MOST)),
        top_n=nullable(_TOP),
        return_documents=nullable(BOOLEAN),
        return_text=nullable(BOOLEAN),
        model=nullable(STRING),
    ),
    answers={JSON: {"anyOf": [_FOUND, array(record({"index": COUNT, "score": NUMBER}))]}},
    errors=(404, 500, 501, 507, *GUEST),
)
DESCRIBED: Described = {(path, "POST"): _RERANK for path in PATHS}


@dataclass(frozen=True)
class _Asked:
    """What is asked; ``plainly`` as text embeddings inference is. ``told`` are to be sent back.

    ``unknown`` are the names of fields that do nothing here.
    """

    query: str
    documents: list[str]
    top: int
    model: str | None
    plainly: bool
    told: bool
    unknown: list[str]

    @classmethod
    def read(cls, request: dict[str, Any]) -> "_Asked":
        """The request. Raises ApiError."""
        fields = Fields(request)
        query = fields.need("query", str)
        if not query:
            raise wrong("query", "it must not be empty")
        plainly = request.get("documents") is None and request.get("texts") is not None
        name = "texts" if plainly else "documents"
        documents = [_text(each, f"{name}[{n}]") for n, each in enumerate(fields.need(name, list))]
        if not 0 < len(documents) <= _MOST:
            raise wrong(name, f"it has {len(documents)} items; 1 to {_MOST} are allowed")
        top = fields.take("top_n", int)
        if top is not None and top < 1:
            raise wrong("top_n", f"it is {top}; a whole number from 1 is allowed")
        told = fields.take("return_text" if plainly else "return_documents", bool)
        count = len(documents) if top is None else top
        model = fields.take("model", str)
        unknown = fields.others(_KNOWN)
        return cls(query, documents, count, model, plainly, bool(told), unknown)


class Rerank:
    """Answers by the scores that workers compute."""

    def __init__(self, models: Questions) -> None:
        self._models = models

    async def answer(self, request: Request) -> Response:
        """POST /rerank."""
        asked = _Asked.read(await read_json(request.scope, request.receive))
        given = {"query": asked.query, "documents": asked.documents}
        ranked = await self._models.ask(
            asked.model, "rank", given, kind="embeddings", computes=True
        )
        results = _results(asked, [each["score"] for each in ranked])
        headers = {UNKNOWN: named(asked.unknown)} if asked.unknown else {}
        if asked.plainly:
            return JSONResponse(results, headers=headers)
        count = sum(each["tokens"] for each in ranked)
        request.scope["record"].prompt_tokens = count
        return JSONResponse(
            {
                "model": asked.model or "default",
                "object": "list",
                "usage": {"prompt_tokens": count, "total_tokens": count},
                "results": results,
            },
            headers=headers,
        )


def _results(asked: _Asked, scores: Sequence[float]) -> list[dict[str, Any]]:
    """The best first."""
    label = "score" if asked.plainly else "relevance_score"
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    return [
        {"index": index, label: scores[index], **_document(asked, index)}
        for index in order[: asked.top]
    ]


def _document(asked: _Asked, index: int) -> dict[str, Any]:
    if not asked.told:
        return {}
    text = asked.documents[index]
    return {"text": text} if asked.plainly else {"document": {"text": text}}


def _text(given: Any, where: str) -> str:
    """A document, which Jina's clients may send as an object."""
    text = given.get("text") if isinstance(given, dict) else given
    if not isinstance(text, str):
        raise wrong(where, "it must be a string")
    return text
