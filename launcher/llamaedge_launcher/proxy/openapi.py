"""/openapi.json: every route that the front serves, from what its modules say of it."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .. import __version__
from .describe import JSON, STRING, Described, Operation, nullable, operation, record

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
_SHADOWS = ("HEAD", "OPTIONS")
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
    """Answers with the document of ``described``; ``keys`` says that the server asks for one."""

    def __init__(self, described: Described, *, keys: bool) -> None:
        self._described = described
        self._keys = keys
        self._paths: dict[str, Any] = {}

    def serve(self, routes: Iterable[BaseRoute]) -> None:
        """Tell of those operations that ``routes`` have."""
        for path, method in served(routes):
            found = self._described.get((path, method))
            if found is not None:
                item = self._paths.setdefault(_PARAMETER.sub(r"{\1}", path), {})
                item[method.lower()] = _completed(path, found, keys=self._keys)

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


def served(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    """The paths and methods of ``routes`` over HTTP, without HEAD and OPTIONS."""
    for route in routes:
        if isinstance(route, Route):
            methods: Iterable[str] = getattr(route.app, "methods", None) or route.methods or ()
            yield from ((route.path, each) for each in methods if each not in _SHADOWS)


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
