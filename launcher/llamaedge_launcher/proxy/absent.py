"""Endpoints of OpenAI's that this server has nothing to answer with, and says so.

Clients find a hint there what to do, where any other path is told to be none.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response

from .describe import JSON, Described, operation
from .errors import ApiError
from .openapi import ERROR
from .routing import routes_of

STATUS = 404
CODE = "unsupported_endpoint"


@dataclass(frozen=True)
class Absent:
    """A path, and why there is nothing: what the server does not do, what to do instead."""

    path: str
    reason: str


_NO_PICTURES = (
    "this server makes no pictures, it looks at them: send them to /v1/chat/completions, and ask"
    " another server to make some"
)
ABSENT = (
    Absent(
        "/v1/moderations",
        "this server judges no texts: ask a chat model that was trained for it, such as Llama"
        " Guard, at /v1/chat/completions",
    ),
    Absent("/v1/images/generations", _NO_PICTURES),
    Absent("/v1/images/edits", _NO_PICTURES),
    Absent("/v1/images/variations", _NO_PICTURES),
)
DESCRIBED: Described = {
    (each.path, "POST"): operation(
        f"Not here: {each.reason}", tag="absent", status=STATUS, answers={JSON: ERROR}
    )
    for each in ABSENT
}


def routes() -> list[Route]:
    """Answer with what to do instead."""
    apps = {each.path: {"POST": request_response(_refuse(each))} for each in ABSENT}
    return routes_of(apps, DESCRIBED)


def _refuse(absent: Absent) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(request: Request) -> Response:
        raise ApiError(STATUS, f"{absent.path}: {absent.reason}", code=CODE)

    return refuse
