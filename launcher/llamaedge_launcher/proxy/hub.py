"""/api/models/pull and search, and deletion: models that come from a Hugging Face hub, and go."""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import LauncherError
from ..fleet.managed import Managed
from ..models.downloads import Downloads, Step
from ..models.reference import HubModel, WebModel, parse_name
from ..models.watch import Watcher
from . import listing
from .client import Client
from .describe import (
    BOOLEAN,
    COUNT,
    EVENTS,
    JSON,
    STRING,
    Described,
    array,
    const,
    nullable,
    operation,
    record,
)
from .errors import ApiError
from .forward import refusing
from .gone import until_gone
from .manage import NAMED, named
from .routing import routes_of

if TYPE_CHECKING:
    from ..models.store import Stored

PULL, SEARCH, ONE = "/api/models/pull", "/api/models/search", "/api/models/{name:path}"
_MOST, _FEW = 100, 20  # repositories that a search finds
_LOADED = ("loading", "ready")
_HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
_FOUND = record(
    {"name": STRING, "downloads": COUNT, "likes": COUNT, "gated": BOOLEAN},
    updated=nullable(STRING),
)
DESCRIBED: Described = {
    (PULL, "POST"): operation(
        "Fetch a model; closing the connection gives it up",
        tag="models",
        body=NAMED,
        answers={EVENTS: record({"data": STRING})},
        errors=(403,),
    ),
    (SEARCH, "GET"): operation(
        "Find repositories with GGUF files on the hub",
        tag="models",
        query={"q": STRING, "limit": {"type": "integer", "minimum": 1, "maximum": _MOST}},
        answers={JSON: record({"object": const("list"), "data": array(_FOUND)})},
        errors=(400, 502),
    ),
    (ONE, "DELETE"): operation(
        "Delete a model's files",
        tag="models",
        answers={JSON: record({"name": STRING, "deleted": BOOLEAN})},
        errors=(403, 404, 409),
    ),
}


class HubModels:
    """Fetches and deletes models, beside the ``fleet`` that serves some."""

    def __init__(self, fleet: Managed) -> None:
        self._fleet = fleet
        self._downloads = Downloads(_pull)
        self.endpoints: dict[str, ASGIApp] = {PULL: self.pull, ONE: request_response(self.delete)}
        """What other APIs ask for, by its path."""

    async def pull(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /api/models/pull, answered by an event stream."""
        with refusing():
            self._fleet.manage()
        name = await named(Request(scope, receive))
        model = parse_name(name)
        if not isinstance(model, HubModel):
            message = f"{name!r} is no model of a hub, such as ORG/REPO:Q4_K_M"
            if isinstance(model, WebModel):
                message = f"{message}; llamaedge pull fetches from other URLs"
            raise ApiError(400, message, code="invalid_value", param="model")
        await until_gone(receive, self._stream(model, Client(send, streams=True)))

    async def _stream(self, model: HubModel, client: Client) -> None:
        with client.kept_awake():
            await client.begin(200, _HEADERS)
            try:
                async with aclosing(self._downloads.follow(model)) as steps:
                    async for step in steps:
                        await client.write(b"data: %s\n\n" % json.dumps(_event(step)).encode())
            except LauncherError as error:
                await client.fail(ApiError(502, str(error), code="pull_failed", param="model"))
            else:
                await client.end()

    async def search(self, request: Request) -> Response:
        """GET /api/models/search."""
        limit = listing.limit_of(request.query_params, most=_MOST, otherwise=_FEW)
        words = request.query_params.get("q", "").strip()
        try:
            found = await asyncio.to_thread(_search, words, limit)
        except LauncherError as error:
            raise ApiError(502, str(error), code="search_failed") from error
        return JSONResponse({"object": "list", "data": found})

    async def delete(self, request: Request) -> Response:
        """DELETE /api/models/{name}."""
        name = request.path_params["name"]
        with refusing():
            self._fleet.manage()
        if any(each.recipe.serves(name) and each.status in _LOADED for each in self._fleet.members):
            raise _conflict(f"{name} is loaded; unload it first")
        return JSONResponse(await asyncio.to_thread(self._delete, name))

    def _delete(self, name: str) -> dict[str, Any]:
        from ..models import store

        reference = parse_name(name)
        found = store.find_all(reference) if reference is not None else ()
        if not found:
            message = (
                f"there is no model {name} that was fetched; GET /api/models lists what is here"
            )
            raise ApiError(404, message, code="model_not_found", param="name")
        if len(found) > 1:
            raise _conflict(f"{name} is one of {', '.join(each.name for each in found)}; name one")
        if self._fleet.using(found[0].files):
            raise _conflict(f"{name} is loaded; unload it first")
        if isinstance(reference, HubModel) and self._downloads.fetching(reference.repo):
            raise _conflict(f"a model of {reference.repo} is being fetched; wait until it is here")
        store.remove(found[0])
        return {"name": found[0].name, "deleted": True}


def routes(models: HubModels) -> list[Route]:
    """Fetch, search and delete ``models``."""
    apps: dict[str, dict[str, ASGIApp]] = {
        PULL: {"POST": models.pull},
        SEARCH: {"GET": request_response(models.search)},
        ONE: {"DELETE": request_response(models.delete)},
    }
    return routes_of(apps, DESCRIBED)


def _pull(model: HubModel, watcher: Watcher, tell: Callable[[str], None]) -> "Stored":
    """As models.pull's; huggingface-hub is imported when the first model is fetched."""
    from ..models.pull import pull

    return pull(model, watcher, tell)


def _event(step: Step) -> dict[str, Any]:
    """The step, without what there is not to say."""
    optional = ("message", "name")
    return {name: value for name, value in asdict(step).items() if value or name not in optional}


def _search(words: str, limit: int) -> list[dict[str, Any]]:
    from ..models import hub

    found = (asdict(each) for each in hub.search(words, limit=limit))
    return [{"name": each.pop("repo"), **each} for each in found]


def _conflict(message: str) -> ApiError:
    return ApiError(409, message, code="model_in_use", param="name")
