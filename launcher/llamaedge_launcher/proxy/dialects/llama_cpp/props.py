"""/props: what a server says of itself and of its model."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ....models.variants import label
from ...describe import BOOLEAN, COUNT, GUEST, JSON, STRING, Described, operation, record
from ...questions import Questions, unsupported
from .media import MARKER

_PROPS = record(
    {
        "default_generation_settings": record({"n_ctx": COUNT, "params": {"type": "object"}}),
        "total_slots": COUNT,
        "model_alias": STRING,
        "model_path": STRING,
        "chat_template": STRING,
        "build_info": STRING,
        "is_sleeping": BOOLEAN,
    }
)
DESCRIBED: Described = {
    ("/props", "GET"): operation(
        "llama.cpp's description of the server and its model",
        tag="llama.cpp",
        query={"model": STRING},
        answers={JSON: _PROPS},
        errors=(404, 500, 507, *GUEST),
    ),
    ("/props", "POST"): operation(
        "llama.cpp's change of a running server, which this one does not take",
        tag="llama.cpp",
        answers={JSON: {"type": "object"}},
        errors=(501,),
    ),
}

ASLEEP = ("available", "unloading")
"""Where a model stands that takes no memory, or soon none."""
_SETTINGS: dict[str, tuple[str, Callable[[str], float]]] = {
    "seed": ("seed", int),
    "temp": ("temperature", float),
    "top-p": ("top_p", float),
    "repeat-penalty": ("repeat_penalty", float),
    "presence-penalty": ("presence_penalty", float),
    "frequency-penalty": ("frequency_penalty", float),
    "n-predict": ("n_predict", int),
}
"""Options of a guest, the fields that they are the defaults of, and how they read."""


class Props:
    """Answers by what workers say.

    ``slots`` and ``metrics`` tell whether those are shown, ``page`` whether there is one.
    """

    def __init__(self, models: Questions, *, slots: bool, metrics: bool, page: bool) -> None:
        self._models = models
        self._metrics = metrics
        self._slots = slots
        self._page = page

    async def get(self, request: Request) -> Response:
        """GET /props."""
        member, told = await self._models.properties(request.query_params.get("model"))
        model = member.recipe.models[0]
        seen = (await self._models.looks(model)).senses
        props = {
            "default_generation_settings": {
                "n_ctx": told["cells"],
                "params": _defaults(member.recipe.worker.args),
            },
            "total_slots": told["slots"],
            "model_alias": model.id,
            "model_path": str(model.path),
            "model_ftype": label(model.path.name),
            "modalities": {kind: kind in seen for kind in ("vision", "audio", "video")},
            "media_marker": MARKER,
            "endpoint_slots": self._slots,
            "endpoint_props": False,
            "endpoint_metrics": self._metrics,
            "ui": self._page,
            "chat_template": told["template"],
            "bos_token": told["bos_token"],
            "eos_token": told["eos_token"],
            "build_info": told["build"],
            "is_sleeping": member.status in ASLEEP,
        }
        if told["tool_template"]:
            props["chat_template_tool_use"] = told["tool_template"]
        return JSONResponse(props)

    async def change(self, request: Request) -> Response:
        """POST /props."""
        raise unsupported("this server changes no properties while it runs")


def _defaults(args: Sequence[str]) -> Mapping[str, Any]:
    """What an answer's settings are where a request does not say them."""
    given = {**_otherwise()}
    for each in args:
        name, equals, value = each.removeprefix("--").partition("=")
        if equals and name in _SETTINGS:
            given[name] = value
    return {field: read(given[name]) for name, (field, read) in _SETTINGS.items()}


@cache
def _otherwise() -> Mapping[str, str]:
    """The options' own defaults, as the guest's table says them."""
    text = files("llamaedge_launcher.cli").joinpath("server_options.json").read_text("utf-8")
    rows = [row for row in json.loads(text) if row["long"] in _SETTINGS]
    return {row["long"]: row.get("default", "-1") for row in rows}
