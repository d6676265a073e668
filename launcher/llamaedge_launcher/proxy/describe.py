"""What a route's module says of its routes, for /openapi.json.

Each module has a table ``DESCRIBED`` of operations by path and method, beside its handlers, and
makes its routes with it. An answer that is not as described fails a test.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
"""A JSON schema, of draft 2020-12."""

Operation = dict[str, Any]
"""An operation object of OpenAPI 3.1."""

Described = Mapping[tuple[str, str], Operation]
"""Operations by their path, as the route has it, and their method."""

JSON, EVENTS, FORM = "application/json", "text/event-stream", "multipart/form-data"
BYTES, PLAIN, METRICS = "application/octet-stream", "text/plain; charset=utf-8", "text/plain"

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
ANYTHING: Schema = {}

ERROR = {"$ref": "#/components/responses/Error"}
_REFUSED = (403,)
_BODY = (400, 413, 415)
GUEST = (429, 502, 503, 504)
"""How a request to a guest may fail in the front."""
FAILURES = (400, 403, 404, 409, 413, 415, 507, *GUEST)
"""How a request may fail that another API turns into those of this one."""


def const(value: str) -> Schema:
    """The text ``value``."""
    return {"const": value}


def enum(*values: str) -> Schema:
    """One of the texts."""
    return {"enum": list(values)}


def closed(required: Mapping[str, Schema], **optional: Schema) -> Schema:
    """An object with all of ``required`` that may have ``optional``, and nothing else."""
    return {**record(required, **optional), "additionalProperties": False}


def failing(described: Operation, error: Schema, statuses: Sequence[int] = FAILURES) -> Operation:
    """``described`` with errors of another API, whose body is an ``error``."""
    content = {JSON: {"schema": error}}
    told = {str(each): {"description": "What is wrong", "content": content} for each in statuses}
    return {**described, "responses": {**described["responses"], **told}}


def array(items: Schema, **bounds: int) -> Schema:
    """A list of ``items``, with minItems or maxItems among ``bounds``."""
    return {"type": "array", "items": items, **bounds}


def nullable(schema: Schema) -> Schema:
    """``schema`` or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def record(required: Mapping[str, Schema], **optional: Schema) -> Schema:
    """An object with all of ``required``; it may have ``optional``, and more."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
    }


def answered(described: Operation, status: int, answers: Mapping[str, Schema]) -> Operation:
    """``described`` with one more status whose answers are no error objects."""
    content = {kind: {"schema": schema} for kind, schema in answers.items()}
    further = {str(status): {"description": described["summary"], "content": content}}
    return {**described, "responses": {**described["responses"], **further}}


def operation(
    summary: str,
    *,
    tag: str,
    answers: Mapping[str, Schema],
    status: int = 200,
    body: Schema | None = None,
    form: Schema | None = None,
    query: Mapping[str, Schema] | None = None,
    errors: Sequence[int] = (),
    public: bool = False,
) -> Operation:
    """An operation whose answers, by content type, come with ``status``.

    ``body`` is a JSON request's, ``form`` a multipart form's. ``errors`` are statuses of error
    objects beside those that every such request may have. A ``public`` one asks for no key.
    """
    taken = {
        **({JSON: {"schema": body}} if body else {}),
        **({FORM: {"schema": form}} if form else {}),
    }
    content = {kind: {"schema": schema} for kind, schema in answers.items()}
    statuses = sorted({*errors, *_REFUSED, *(_BODY if taken else ())})
    described: Operation = {
        "summary": summary,
        "tags": [tag],
        "responses": {
            str(status): {"description": summary, "content": content},
            **{str(each): ERROR for each in statuses},
        },
    }
    if query:
        described["parameters"] = [
            {"name": name, "in": "query", "schema": schema} for name, schema in query.items()
        ]
    if taken:
        described["requestBody"] = {"required": True, "content": taken}
    if public:
        described["security"] = []
    return described
