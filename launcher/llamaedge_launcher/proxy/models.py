"""/v1/models: what a request's ``model`` may say."""

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..health import Watched
from .describe import INTEGER, JSON, STRING, Described, array, const, operation, record
from .errors import ApiError, retry_after

_MODEL = record({"id": STRING, "created": INTEGER, "object": const("model"), "owned_by": STRING})
DESCRIBED: Described = {
    ("/v1/models", "GET"): operation(
        "The models that requests may name",
        tag="models",
        answers={JSON: record({"object": const("list"), "data": array(_MODEL)})},
        errors=(503,),
    ),
}


class Models:
    """Answers for what is ``watched``."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._created = int(time.time())

    async def list(self, request: Request) -> Response:
        """GET /v1/models, as LlamaEdge's server answers it."""
        if self._watched.health().status == "loading":
            again = retry_after(1)
            raise ApiError(503, "the models are being loaded", code="unavailable", headers=again)
        data = [
            {
                "id": each.id,
                "created": self._created,
                "object": "model",
                "owned_by": "Not specified",
            }
            for each in await self._watched.models()
        ]
        return JSONResponse({"object": "list", "data": data})
