"""/openapi.json: every route that the front serves, from what its modules say of it."""

import re
from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, request_response

from .. import __version__
from .describe import JSON, STRING, Described, Operation, nullable, operation, record
from .routing import operations, routes_of

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
ERROR = record(
    {
        "error": record(
            dict.fromkeys(("message", "type"), STRING)
            | {
                "param": nullable(STRING),
                "code": nullable({"type": ["string", "integer"]}),
            }
        )
    }
)
"""OpenAI's error object."""
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
}

DESCRIBED: Described = {
    ("/openapi.json", "GET"): operation(
        "This description", tag="server", answers={JSON: record({"openapi": STRING})}
    ),
}


class OpenApi:
    """Answers with the document; ``keys`` says that the server asks for one."""

    def __init__(self, *, keys: bool) -> None:
        self._keys = keys
        self._paths: dict[str, Any] = {}

    def tell_of(self, routes: Iterable[BaseRoute]) -> None:
        """Put into the document what ``routes`` say of themselves."""
        for path, method, described in operations(routes):
            item = self._paths.setdefault(_PARAMETER.sub(r"{\1}", path), {})
            item[method.lower()] = _completed(path, described, keys=self._keys)

    async def answer(self, request: Request) -> Response:
        """GET /openapi.json."""
        document = {
            "openapi": "3.1.0",
            "info": {"title": "llamaedge", "version": __version__},
            "servers": [{"url": request.scope.get("root_path") or "/"}],
            "paths": self._paths,
            "components": {
                "schemas": {"Error": ERROR},
                "responses": {
                    "Error": {
                        "description": "What is wrong",
                        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
                    }
                },
                "securitySchemes": _SCHEMES if self._keys else {},
            },
            "security": [{name: []} for name in _SCHEMES] if self._keys else [],
        }
        return JSONResponse(document)


def routes(others: Iterable[BaseRoute], *, keys: bool) -> list[Route]:
    """Describe ``others``, and this."""
    openapi = OpenApi(keys=keys)
    own = routes_of({"/openapi.json": {"GET": request_response(openapi.answer)}}, DESCRIBED)
    openapi.tell_of([*others, *own])
    return own


def _completed(path: str, described: Operation, *, keys: bool) -> Operation:
    """With the path's parameters, and the answer to who shows no key."""
    inside = [
        {"name": name, "in": "path", "required": True, "schema": STRING}
        for name in _PARAMETER.findall(path)
    ]
    responses = dict(described["responses"])
    if keys and described.get("security") != []:
        responses["401"] = responses["403"]  # both are what stands before the endpoint
    parameters = [*inside, *described.get("parameters", ())]
    completed = {**described, "responses": responses}
    return {**completed, "parameters": parameters} if parameters else completed
