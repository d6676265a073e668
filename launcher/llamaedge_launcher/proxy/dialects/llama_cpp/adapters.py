"""/lora-adapters: the LoRA adapters of a model, and how strong they are."""

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...body import check_type, read_body
from ...describe import (
    BOOLEAN,
    COUNT,
    GUEST,
    JSON,
    NUMBER,
    STRING,
    Described,
    array,
    operation,
    record,
)
from ...errors import ApiError
from ...questions import Questions
from ..fields import wrong

PATH = "/lora-adapters"
_ERRORS = (404, 500, 501, 507, *GUEST)
DESCRIBED: Described = {
    (PATH, "GET"): operation(
        "llama.cpp's list of LoRA adapters",
        tag="llama.cpp",
        query={"model": STRING},
        answers={JSON: array(record({"id": COUNT, "path": STRING, "scale": NUMBER}))},
        errors=_ERRORS,
    ),
    (PATH, "POST"): operation(
        "Change the scales of LoRA adapters for requests that say none; those not named get 0",
        tag="llama.cpp",
        query={"model": STRING},
        body=array(record({"id": COUNT, "scale": NUMBER})),
        answers={JSON: record({"success": BOOLEAN})},
        errors=_ERRORS,
    ),
}


class LoraAdapters:
    """Answers by what workers say."""

    def __init__(self, models: Questions) -> None:
        self._models = models

    async def list(self, request: Request) -> Response:
        """GET /lora-adapters."""
        model = request.query_params.get("model")
        found = await self._models.ask(model, "adapters", {}, kind="chat")
        return JSONResponse([{"id": index, **each} for index, each in enumerate(found)])

    async def scale(self, request: Request) -> Response:
        """POST /lora-adapters."""
        check_type(request.scope)
        body = await read_body(request.scope, request.receive)
        try:
            pairs = json.loads(body)
        except ValueError as error:
            raise ApiError(400, f"the body is not JSON: {error}", code="invalid_json") from None
        if not isinstance(pairs, list):
            raise wrong("body", "it must be an array of objects with id and scale")
        model = request.query_params.get("model")
        await self._models.ask(model, "scale", {"adapters": pairs}, kind="chat")
        return JSONResponse({"success": True})
