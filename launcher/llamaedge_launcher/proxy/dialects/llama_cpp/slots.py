"""/slots: what each place for a sequence is doing."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...describe import (
    BOOLEAN,
    COUNT,
    GUEST,
    INTEGER,
    JSON,
    STRING,
    Described,
    array,
    operation,
    record,
)
from ...errors import ApiError
from ...questions import Questions, unsupported

_STATE = record(
    {
        "id": COUNT,
        "n_ctx": COUNT,
        "speculative": BOOLEAN,
        "is_processing": BOOLEAN,
        "n_prompt_tokens": COUNT,
    },
    n_prompt_tokens_processed=COUNT,
    n_prompt_tokens_cache=COUNT,
    next_token=array(record({"has_next_token": BOOLEAN, "n_remain": INTEGER, "n_decoded": COUNT})),
)
DESCRIBED: Described = {
    ("/slots", "GET"): operation(
        "llama.cpp's list of what each place for a sequence is doing",
        tag="llama.cpp",
        query={"model": STRING, "fail_on_no_slot": STRING},
        answers={JSON: array(_STATE)},
        errors=(404, 500, 501, 507, *GUEST),
    ),
}


class Slots:
    """Answers by what workers say, if they are ``shown``."""

    def __init__(self, models: Questions, *, shown: bool) -> None:
        self._models = models
        self._shown = shown

    async def list(self, request: Request) -> Response:
        """GET /slots."""
        if not self._shown:
            raise unsupported("this server was started with --no-slots")
        model = request.query_params.get("model")
        states = await self._models.ask(model, "slots", {}, kind="chat")
        if request.query_params.get("fail_on_no_slot") and all(each["busy"] for each in states):
            raise ApiError(503, "no slot is free", code="unavailable")
        return JSONResponse([_told(each) for each in states])


def _told(state: Mapping[str, Any]) -> dict[str, Any]:
    """A SlotState of the host as llama.cpp tells of one; -1 is no limit."""
    told: dict[str, Any] = {
        "id": state["index"],
        "n_ctx": state["cells"],
        "speculative": state["drafts"],
        "is_processing": state["busy"],
        "n_prompt_tokens": state["tokens"],
    }
    if not state["busy"]:
        return told
    left = state["left"]
    return told | {
        "n_prompt_tokens_processed": max(
            min(state["tokens"], state["prompt"]) - state["reused"], 0
        ),
        "n_prompt_tokens_cache": state["reused"],
        "next_token": [
            {
                "has_next_token": left != 0,
                "n_remain": -1 if left is None else left,
                "n_decoded": state["made"],
            }
        ],
    }
