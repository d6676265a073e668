"""/health: whether requests are answered, for balancers and whoever starts the server."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, request_response

from ..health import Watched
from .describe import JSON, STRING, Described, answered, enum, operation, record
from .routing import routes_of

_HEALTH = record({"status": enum("ready", "loading", "unavailable")}, message=STRING)
DESCRIBED: Described = {
    ("/health", "GET"): answered(
        operation("How the server is", tag="server", answers={JSON: _HEALTH}, public=True),
        503,
        {JSON: _HEALTH},
    ),
}


def routes(watched: Watched) -> list[Route]:
    """Tells how ``watched`` is, with 503 unless it is ready."""

    async def answer(request: Request) -> Response:
        health = watched.health()
        known = {name: value for name, value in asdict(health).items() if value is not None}
        return JSONResponse(known, 200 if health.status == "ready" else 503)

    return routes_of({"/health": {"GET": request_response(answer)}}, DESCRIBED)
