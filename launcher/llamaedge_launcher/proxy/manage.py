"""/api/models: the models of this machine, loaded and not, and what is done with them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, request_response

from ..control import ModelSize
from ..fleet.looks import Looks
from ..fleet.managed import Managed
from ..fleet.recipe import Model
from ..models.reference import parse_name
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
        "fetched": BOOLEAN,
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

    def json(self, seen: Looks) -> Json:
        """The model as an object, with what is seen of its files."""
        model, found = self.model, seen.facts
        return {
            "name": model.name,
            "id": model.id,
            "status": self.status,
            "message": self.message or found.problem,
            "size": seen.size,
            "architecture": found.architecture,
            "quantization": found.quantization,
            "parameters": found.parameters,
            "context": self.taken.context if self.taken else found.context,
            "capabilities": [*found.capabilities, *seen.senses],
            "memory": self.taken.total if self.taken else seen.needed,
            "default": self.default,
            "fetched": parse_name(model.name) is not None,
            "last_used": self.last_used,
            "expires": self.expires,
            "modified": seen.modified,
        }


class ManagedModels:
    """The models of ``fleet``, as objects of the API."""

    def __init__(self, fleet: Managed) -> None:
        self._fleet = fleet

    async def told(self) -> Sequence[Json]:
        """All models, as objects."""
        return [told for _, told in await self._told()]

    async def identified(self) -> Sequence[Json]:
        """The same with the files' digests, which may take a while."""
        told = await self._told()
        digests = await self._fleet.digests([model for model, _ in told])
        return [{**row, "digest": each} for (_, row), each in zip(told, digests, strict=True)]

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

    async def _told(self) -> Sequence[tuple[Model, Json]]:
        known = [*self._known()]
        rows = [*known, *(_Row(model) for model in await self._fleet.here())]
        seen = await self._fleet.looks([row.model for row in rows])
        return [(row.model, row.json(each)) for row, each in zip(rows, seen, strict=True)]

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
        (seen,) = await self._fleet.looks([model])
        return row.json(seen)


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


async def named(request: Request) -> str:
    """The model that the request's body names. Raises ApiError."""
    name = (await read_json(request.scope, request.receive, "model"))["model"]
    if not isinstance(name, str) or not name:
        raise ApiError(400, "'model' must be a name", code="invalid_value", param="model")
    return name
