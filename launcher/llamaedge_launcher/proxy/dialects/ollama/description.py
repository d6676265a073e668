"""What /openapi.json says of Ollama's API."""

from collections.abc import Sequence
from typing import Any

from ...describe import (
    ANYTHING,
    BOOLEAN,
    COUNT,
    FAILURES,
    INTEGER,
    JSON,
    NUMBER,
    STRING,
    Described,
    Operation,
    Schema,
    array,
    closed,
    enum,
    failing,
    nullable,
    operation,
    record,
)
from .answer import LINES

_ERROR = record({"error": STRING})
_OPTIONS: dict[str, Schema] = {
    "stream": nullable(BOOLEAN),
    "options": nullable({"type": "object"}),
    "format": {"anyOf": [{"type": "null"}, enum("", "json"), {"type": "object"}]},
    "think": {"anyOf": [{"type": "null"}, BOOLEAN, enum("low", "medium", "high")]},
    "keep_alive": nullable({"anyOf": [NUMBER, STRING]}),
}
_ANSWER = {"model": STRING, "created_at": STRING, "done": BOOLEAN}
_DETAILS = {"type": "object"}
_LISTED = record(
    {"name": STRING, "model": STRING, "size": COUNT, "digest": STRING, "details": _DETAILS},
    modified_at=STRING,
)


def _told(summary: str, *, errors: Sequence[int] = FAILURES, **about: Any) -> Operation:
    return failing(operation(summary, tag="ollama", **about), _ERROR, errors)


def _named(**more: Schema) -> Schema:
    """A request that names a model, by either field."""
    return closed({}, model=STRING, name=STRING, **more)


DESCRIBED: Described = {
    ("/api/tags", "GET"): _told(
        "Ollama's list of models",
        answers={JSON: record({"models": array(_LISTED)})},
        errors=(403,),
    ),
    ("/api/ps", "GET"): _told(
        "Ollama's list of loaded models",
        answers={JSON: record({"models": array(_LISTED)})},
        errors=(403,),
    ),
    ("/api/version", "GET"): _told(
        "The version of Ollama whose API this is",
        answers={JSON: record({"version": STRING})},
        errors=(403,),
    ),
    ("/api/pull", "POST"): _told(
        "Fetch a model",
        body=_named(stream=nullable(BOOLEAN)),
        answers={JSON: {"type": "object"}, LINES: ANYTHING},
    ),
    ("/api/copy", "POST"): _told(
        "Not here: models have the names that they were fetched by",
        status=400,
        body=closed({"source": STRING, "destination": STRING}),
        answers={JSON: _ERROR},
    ),
    ("/api/delete", "DELETE"): _told(
        "Delete a model's files",
        body=_named(),
        answers={JSON: {"type": "object"}},
    ),
    ("/api/show", "POST"): _told(
        "What a model is",
        body=_named(verbose=nullable(BOOLEAN)),
        answers={JSON: record({"details": _DETAILS, "capabilities": array(STRING)})},
    ),
    ("/api/chat", "POST"): _told(
        "Ollama's chat",
        body=record(
            {"model": STRING},
            messages=nullable(array({"type": "object"})),
            tools=nullable(array({"type": "object"})),
            **_OPTIONS,
        ),
        answers={JSON: record({**_ANSWER, "message": {"type": "object"}}), LINES: ANYTHING},
    ),
    ("/api/generate", "POST"): _told(
        "Ollama's completion of a prompt",
        body=record(
            {"model": STRING},
            prompt=nullable(STRING),
            system=nullable(STRING),
            suffix=nullable(STRING),
            images=nullable(array(STRING)),
            raw=nullable(BOOLEAN),
            **_OPTIONS,
        ),
        answers={JSON: record({**_ANSWER, "response": STRING}), LINES: ANYTHING},
    ),
    ("/api/embed", "POST"): _told(
        "Ollama's embeddings of texts",
        body=record(
            {"model": STRING, "input": {"anyOf": [STRING, array(STRING)]}},
            dimensions=nullable(INTEGER),
            truncate=nullable(BOOLEAN),
            keep_alive=_OPTIONS["keep_alive"],
        ),
        answers={JSON: record({"model": STRING, "embeddings": array(array(NUMBER))})},
    ),
    ("/api/embeddings", "POST"): _told(
        "Ollama's embedding of one text",
        body=record({"model": STRING, "prompt": STRING}, keep_alive=_OPTIONS["keep_alive"]),
        answers={JSON: record({"embedding": array(NUMBER)})},
    ),
}
