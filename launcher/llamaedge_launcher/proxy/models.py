"""/v1/models: what a request's ``model`` may say."""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, request_response

from ..fleet.recipe import DEFAULT, Model
from ..health import Watched
from .describe import INTEGER, JSON, STRING, Described, array, const, operation, record
from .dialects import anthropic_models
from .errors import ApiError, retry_after
from .openapi import ERROR
from .routing import routes_of

ALL, ONE = "/v1/models", "/v1/models/{id:path}"

_MODEL = record(
    {"id": STRING, "created": INTEGER, "object": const("model"), "owned_by": STRING},
    aliases=array(STRING),
    tags=array(STRING),
)
_LIST = record(
    {"object": const("list"), "data": array(_MODEL)},
    models=array(record({"name": STRING, "capabilities": array(STRING)})),
)
DESCRIBED: Described = {
    (ALL, "GET"): operation(
        "The models that requests may name",
        tag="models",
        answers={JSON: {"anyOf": [_LIST, anthropic_models.PAGE]}},
        errors=(503,),
    ),
    **{
        (path, "GET"): operation(
            "A model that requests may name",
            tag="models",
            answers={JSON: {"anyOf": [_MODEL, anthropic_models.MODEL]}},
            errors=(404, 503),
        )
        for path in (ONE, ONE.removeprefix("/v1"))
    },
    (ONE, "DELETE"): operation(
        "Not here: models are deleted at /api/models",
        tag="models",
        status=405,
        answers={JSON: ERROR},
    ),
}


class Models:
    """Answers for what is ``watched``."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._created = int(time.time())

    async def all(self, request: Request) -> Response:
        """GET /v1/models as LlamaEdge answers it, with llama.cpp's list beside, or as Anthropic."""
        known = await self._known()
        data = [self._told(each, request) for each in known]
        if anthropic_models.wanted(request):
            return JSONResponse(anthropic_models.page(data))
        models = [_capable(each) for each in known]
        return JSONResponse({"object": "list", "data": data, "models": models})

    async def get(self, request: Request) -> Response:
        """GET /v1/models/{id}, where a model may be called what a request may call it."""
        name, known = request.path_params["id"], await self._known()
        found = [each for each in known if name in each.names]
        found += known if name == DEFAULT else []
        if not found:
            message = f"the model {name!r:.256} does not exist; GET /v1/models lists those that do"
            raise ApiError(404, message, code="model_not_found", param="model")
        return JSONResponse(self._told(found[0], request))

    async def delete(self, request: Request) -> Response:
        """DELETE /v1/models/{id}, which is for models that were fine-tuned at OpenAI's."""
        message = (
            "a model is deleted with its files, by DELETE /api/models/NAME; POST"
            " /api/models/unload unloads it"
        )
        allow = [(b"allow", b"GET, HEAD, OPTIONS")]
        raise ApiError(405, message, code="method_not_allowed", headers=allow)

    async def _known(self) -> list[Model]:
        if self._watched.health().status == "loading":
            again = retry_after(1)
            raise ApiError(503, "the models are being loaded", code="unavailable", headers=again)
        return list(await self._watched.models())

    def _told(self, model: Model, request: Request) -> dict[str, Any]:
        if anthropic_models.wanted(request):
            return anthropic_models.model(model.id, model.name, self._created)
        called = {"aliases": list(model.aliases)} if model.aliases else {}
        tagged = {"tags": list(model.tags)} if model.tags else {}
        return {
            "id": model.id,
            "created": self._created,
            "object": "model",
            "owned_by": "Not specified",
            **called,
            **tagged,
        }


def routes(watched: Watched) -> list[Route]:
    """Tell of the models of ``watched``."""
    models = Models(watched)
    get = request_response(models.get)
    apps = {
        ALL: {"GET": request_response(models.all)},
        ONE: {"GET": get, "DELETE": request_response(models.delete)},
        ONE.removeprefix("/v1"): {"GET": get},
    }
    return routes_of(apps, DESCRIBED)


def _capable(model: Model) -> dict[str, Any]:
    """What a model can do, as llama.cpp's server tells it."""
    can = ["embedding"] if model.kind == "embeddings" else ["completion"]
    can += ["multimodal"] if model.projector else []
    return {"name": model.id, "model": model.id, "type": "model", "capabilities": can}
