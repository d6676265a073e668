"""/api/models: the models of this machine, loaded and not, and what is done with them."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, request_response

from ..control import ModelSize
from ..fleet.managed import Managed
from ..fleet.recipe import Model, version
from ..models import fit
from ..models.digest import digest
from ..models.facts import facts, senses
from .body import read_json
from .describe import (
    BOOLEAN,
    COUNT,
    JSON,
    NUMBER,
    STRING,
    Described,
    array,
    const,
    enum,
    nullable,
    operation,
    record,
)
from .errors import ApiError
from .forward import refusing
from .routing import routes_of

Json = dict[str, Any]

STATUSES = ("available", "loading", "ready", "unloading", "failed")
NAMED = record({"model": {**STRING, "minLength": 1}})
MODEL = record(
    {
        "name": STRING,
        "id": STRING,
        "status": enum(*STATUSES),
        "message": nullable(STRING),
        "size": COUNT,
        "architecture": STRING,
        "quantization": STRING,
        "parameters": nullable(COUNT),
        "context": nullable(COUNT),
        "capabilities": array(enum("chat", "embeddings", "vision", "audio", "tools", "reasoning")),
        "memory": nullable(COUNT),
        "default": BOOLEAN,
        "last_used": nullable(NUMBER),
        "expires": nullable(NUMBER),
        "modified": nullable(NUMBER),
    }
)
DESCRIBED: Described = {
    ("/api/models", "GET"): operation(
        "The models that are loaded and those on this machine",
        tag="models",
        answers={JSON: record({"object": const("list"), "data": array(MODEL)})},
    ),
    ("/api/models/load", "POST"): operation(
        "Load a model, or load it again where its files have changed",
        tag="models",
        body=NAMED,
        answers={JSON: MODEL},
        errors=(403, 404, 500, 503, 507),
    ),
    ("/api/models/unload", "POST"): operation(
        "Unload a model once its requests have ended",
        tag="models",
        body=NAMED,
        answers={JSON: MODEL},
        errors=(403, 404, 409, 500),
    ),
}


@dataclass(frozen=True)
class _Row:
    """A model with what the fleet says of it."""

    model: Model
    status: str = "available"
    message: str | None = None
    default: bool = False
    last_used: float | None = None
    expires: float | None = None
    taken: ModelSize | None = None

    def json(self) -> Json:
        """The model as an object; reads its file."""
        model = self.model
        files = [path for path in (model.path, model.projector) if path is not None]
        found = facts(model.path, model.version)
        seen = model.projector
        sees = senses(seen, version(seen)) if seen is not None else ()
        return {
            "name": model.name,
            "id": model.id,
            "status": self.status,
            "message": self.message or found.problem,
            "size": fit.size_of(files),
            "architecture": found.architecture,
            "quantization": found.quantization,
            "parameters": found.parameters,
            "context": self.taken.context if self.taken else found.context,
            "capabilities": [*found.capabilities, *sees],
            "memory": self.taken.total if self.taken else fit.needed_for(files),
            "default": self.default,
            "last_used": self.last_used,
            "expires": self.expires,
            "modified": _modified(model.path),
        }

    def known(self) -> Json:
        """The model as an object with its file's digest; reads the file whole once."""
        return self.json() | {"digest": digest(self.model.path, self.model.version)}


class ManagedModels:
    """The models of ``fleet``, as objects of the API."""

    def __init__(self, fleet: Managed) -> None:
        self._fleet = fleet

    async def told(self) -> Sequence[Json]:
        """All models, as objects."""
        return await self._told(_Row.json)

    async def identified(self) -> Sequence[Json]:
        """The same with the files' digests, which may take a while."""
        return await self._told(_Row.known)

    async def load(self, name: str) -> Json:
        """Load the model that is called ``name``, and tell of it. Raises ApiError."""
        with refusing():
            member = await self._fleet.load(name)
        return await self._one(member.recipe.models, name)

    async def unload(self, name: str) -> Json:
        """Unload the model that is called ``name``, and tell of it. Raises ApiError."""
        with refusing():
            member = await self._fleet.unload(name)
        return await self._one(member.recipe.models, name)

    async def _told(self, tell: Callable[[_Row], Json]) -> Sequence[Json]:
        known = [*self._known()]
        rows = [*known, *(_Row(model) for model in await self._fleet.here())]
        return await asyncio.to_thread(lambda: [tell(row) for row in rows])

    def _known(self) -> Iterable[_Row]:
        for number, member in enumerate(self._fleet.members):
            for model in member.recipe.models:
                first = number == 0 and model == member.recipe.models[0]
                yield _Row(
                    model,
                    member.status,
                    member.problem,
                    default=first,
                    last_used=member.last_used,
                    expires=member.expires,
                    taken=member.sizes.get(model),
                )

    async def _one(self, models: tuple[Model, ...], name: str) -> Json:
        """The one of ``models`` that ``name`` calls, as it is now."""
        model = next((each for each in models if name in each.names), models[0])
        row = next((row for row in self._known() if row.model == model), _Row(model))
        return await asyncio.to_thread(row.json)


def routes(models: ManagedModels) -> list[Route]:
    """List, load and unload ``models``."""

    async def list_(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": await models.told()})

    async def load(request: Request) -> Response:
        return JSONResponse(await models.load(await named(request)))

    async def unload(request: Request) -> Response:
        return JSONResponse(await models.unload(await named(request)))

    apps = {
        "/api/models": {"GET": request_response(list_)},
        "/api/models/load": {"POST": request_response(load)},
        "/api/models/unload": {"POST": request_response(unload)},
    }
    return routes_of(apps, DESCRIBED)


def _modified(path: Path) -> float | None:
    """When the file was changed, in seconds since 1970; None if there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


async def named(request: Request) -> str:
    """The model that the request's body names. Raises ApiError."""
    name = (await read_json(request.scope, request.receive, "model"))["model"]
    if not isinstance(name, str) or not name:
        raise ApiError(400, "'model' must be a name", code="invalid_value", param="model")
    return name
