"""/slots: what each place for a sequence is doing."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...body import read_json
from ...describe import (
    BOOLEAN,
    COUNT,
    GUEST,
    INTEGER,
    JSON,
    STRING,
    Described,
    array,
    enum,
    operation,
    record,
)
from ...errors import ApiError
from ...questions import Questions, unsupported
from ..fields import Fields, wrong

_NAME = re.compile(r"[A-Za-z0-9_ -][A-Za-z0-9._ -]{0,199}")
_DONE = record({"id_slot": COUNT, "filename": STRING, "timings": {"type": "object"}})
_STATE = record(
    {
        "id": COUNT,
        "n_ctx": COUNT,
        "speculative": BOOLEAN,
        "is_processing": BOOLEAN,
        "n_prompt_tokens": COUNT,
    },
    replica=STRING,
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
    ("/slots/{id}", "POST"): operation(
        "llama.cpp's saving, restoring and erasing of what a slot caches; `action` says which",
        tag="llama.cpp",
        query={"action": enum("save", "restore", "erase"), "model": STRING},
        body=record({}, filename=STRING),
        answers={JSON: {"anyOf": [_DONE, record({"id_slot": COUNT, "n_erased": COUNT})]}},
        errors=(404, 500, 501, 507, *GUEST),
    ),
}


class Slots:
    """Answers by what workers say, if they are ``shown``; saved ones lie in ``folder``."""

    def __init__(self, models: Questions, *, shown: bool, folder: Path | None) -> None:
        self._models = models
        self._shown = shown
        self._folder = folder

    async def act(self, request: Request) -> Response:
        """POST /slots/{id}."""
        if self._folder is None:
            raise unsupported("this server was started without --slot-save-path")
        slot = _number(request.path_params["id"])
        action = request.query_params.get("action")
        if action == "erase":
            count = await self._ask(request, "erase", {"slot": slot})
            return JSONResponse({"id_slot": slot, "n_erased": count})
        if action not in _ACTIONS:
            raise wrong("action", f"{action!r} is not one of {', '.join(_ACTIONS)}, erase")
        name = await _filename(request)
        given = {"slot": slot, "folder": str(self._folder), "filename": name}
        found = await self._ask(request, action, given)
        tokens, size, milliseconds = _ACTIONS[action]
        return JSONResponse(
            {
                "id_slot": slot,
                "filename": name,
                tokens: found["tokens"],
                size: found["bytes"],
                "timings": {milliseconds: found["seconds"] * 1000},
            }
        )

    async def _ask(self, request: Request, action: str, given: Mapping[str, Any]) -> Any:
        model = request.query_params.get("model")
        return await self._models.ask(model, action, given, kind="chat")

    async def list(self, request: Request) -> Response:
        """GET /slots."""
        if not self._shown:
            raise unsupported("this server was started with --no-slots")
        model = request.query_params.get("model")
        states = await self._models.ask(model, "slots", {}, kind="chat")
        if request.query_params.get("fail_on_no_slot") and all(each["busy"] for each in states):
            raise ApiError(503, "no slot is free", code="unavailable")
        return JSONResponse([_told(each) for each in states])


_ACTIONS = {
    "save": ("n_saved", "n_written", "save_ms"),
    "restore": ("n_restored", "n_read", "restore_ms"),
}
"""What moves a slot to or from a file, and how tokens, bytes and milliseconds are told then."""


async def _filename(request: Request) -> str:
    """The file that the body names, which lies in no other folder. Raises ApiError."""
    fields = Fields(await read_json(request.scope, request.receive))
    name = fields.need("filename", str)
    if not _NAME.fullmatch(name):
        raise wrong("filename", "a name of letters, digits, -, _, . and spaces is allowed")
    return str(name)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise wrong("id", f"{text!r} is not the number of a slot")
    return int(text)


def _told(state: Mapping[str, Any]) -> dict[str, Any]:
    """A SlotState of the host as llama.cpp tells of one, and its replica's; -1 is no limit."""
    told: dict[str, Any] = {
        "id": state["index"],
        "n_ctx": state["cells"],
        "speculative": state["drafts"],
        "is_processing": state["busy"],
        "n_prompt_tokens": state["tokens"],
        **{name: state[name] for name in ("replica",) if name in state},
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
