"""What tells of models, fetches and deletes them, by the endpoints of /api/models."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ....models.reference import HubModel, called, parse_name
from ... import hub
from ...errors import ApiError
from ..bridge import Answered, Json, Stream, Translated
from ..fields import Fields, wrong
from .answer import LINES, Failing, failure, line

List = Callable[[], Awaitable[Sequence[Json]]]
"""Asks for the models, as /api/models tells them."""

SPOKEN = "0.12.0"
"""The version of Ollama whose API this is; clients ask, to know what they may."""

_STATUSES = {"resolving": "pulling manifest", "downloading": "pulling", "checking": "verifying"}
_FOR_EVER = "2318-01-01T00:00:00Z"
"""When a model goes that stays: clients say "forever" then."""
_CAPABILITIES = {
    "chat": "completion", "embeddings": "embedding", "vision": "vision", "tools": "tools",
    "reasoning": "thinking", "audio": "audio",
}  # fmt: skip
_UNITS = ((10**9, "B"), (10**6, "M"), (10**3, "K"))


class OllamaModels:
    """The handlers of /api/tags, /api/ps and /api/version.

    ``models`` are told with their digests, which clients cut to twelve characters unasked.
    """

    def __init__(self, models: List) -> None:
        self._models = models

    async def tags(self, request: Request) -> Response:
        """GET /api/tags: those that are loaded and those on this machine."""
        return JSONResponse({"models": [_listed(each) for each in await self._models()]})

    async def ps(self, request: Request) -> Response:
        """GET /api/ps: those that are loaded."""
        ready = [each for each in await self._models() if each["status"] == "ready"]
        return JSONResponse({"models": [_listed(each) | _loaded(each) for each in ready]})

    async def version(self, request: Request) -> Response:
        """GET /api/version."""
        return JSONResponse({"version": SPOKEN})


class Running:
    """An ASGI application that answers ``/`` as Ollama does, where no page is, and else ``app``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "http" and scope["path"] == "/" and scope["method"] in ("GET", "HEAD"):
            scope["record"].route = "/"
            await PlainTextResponse("Ollama is running")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class Show(Failing):
    """POST /api/show."""

    def __init__(self, models: List) -> None:
        self._models = models

    async def read(self, request: Json) -> Answered:
        """What the model is. Raises ApiError, 404 for one that is not here."""
        fields = Fields(request)
        fields.only(("model", "name", "verbose", "system", "template", "options"))
        fields.refuse(dict.fromkeys(("system", "template", "options"), "a model is as it is"))
        fields.take("verbose", bool)
        name = fields.take("model", str) or fields.need("name", str)
        model = find(await self._models(), name)
        architecture = model["architecture"]
        info: Json = {"general.architecture": architecture}
        if model["parameters"] is not None:
            info["general.parameter_count"] = model["parameters"]
        if model["context"] is not None:
            info[f"{architecture}.context_length"] = model["context"]
        told = {
            "modelfile": f"FROM {model['name']}\n",
            "parameters": "",
            "template": "",
            "details": _details(model),
            "model_info": info,
            **_modified(model),
            "capabilities": [_CAPABILITIES[each] for each in model["capabilities"]],
        }
        return Answered(told)


class Pull(Failing):
    """POST /api/pull."""

    async def read(self, request: Json) -> Translated:
        """As a pull of this server's."""
        fields = Fields(request)
        fields.only(("model", "name", "stream", "insecure", "username", "password"))
        reason = "the hub is asked with HF_TOKEN, over TLS"
        fields.refuse(dict.fromkeys(("insecure", "username", "password"), reason))
        name = fields.take("model", str) or fields.need("name", str)
        streams = fields.take("stream", bool) is not False
        return Translated(hub.PULL, {"model": name}, _Pulling(streams=streams), dict)


class Delete(Failing):
    """DELETE /api/delete."""

    async def read(self, request: Json) -> Translated:
        """As a deletion of this server's."""
        fields = Fields(request)
        fields.only(("model", "name"))
        name = fields.take("model", str) or fields.need("name", str)
        params = {"name": name}
        return Translated(hub.ONE, {}, None, lambda _: {}, method="DELETE", params=params)


class Copy(Failing):
    """POST /api/copy, which is refused: a model here has the name that it was fetched by."""

    def __init__(self, models: List) -> None:
        self._models = models

    async def read(self, request: Json) -> Answered:
        """Raises ApiError, 404 for a model that is not here, 400 for one that is."""
        fields = Fields(request)
        fields.only(("source", "destination"))
        source, wanted = fields.need("source", str), fields.need("destination", str)
        find(await self._models(), source)
        reason = f"models here have the names that they were fetched by, and {source!r} gets no"
        raise wrong("destination", f"{reason} other; llamaedge run --model-name {wanted} would")


class _Pulling(Stream):
    """Tells of a pull in lines of JSON; one that does not stream tells the last alone."""

    def __init__(self, *, streams: bool) -> None:
        self.media_type = LINES if streams else "application/json"
        self._streams = streams

    def chunk(self, chunk: Json) -> bytes:
        """As Stream's."""
        if not self._streams or chunk["status"] == "done":
            return b""
        told: Json = {"status": _STATUSES.get(chunk["status"], chunk["status"])}
        if chunk.get("file"):
            told = {"status": f"{told['status']} {chunk['file']}", "digest": chunk["file"]}
            told |= {"total": chunk["total"], "completed": chunk["completed"]}
        return line(told)

    def silence(self) -> bytes:
        """As Stream's."""
        return b""

    def end(self) -> bytes:
        """As Stream's."""
        return line({"status": "success"})

    def fail(self, status: int, error: Json) -> bytes:
        """As Stream's."""
        return line(failure(error))


def find(models: Sequence[Json], name: str) -> Json:
    """The model that ``name`` calls, with or without :latest. Raises ApiError 404.

    A repository without a quantization is the first model of it, and hf.co/ may stand before it.
    """
    wanted = called(name)
    for model in models:
        if wanted in (called(model["id"]), called(model["name"])):
            return model
    reference = parse_name(name)
    for model in models:
        if isinstance(reference, HubModel) and _is_of(reference, parse_name(model["name"])):
            return model
    raise ApiError(404, f"model {name!r} not found", code="model_not_found", param="model")


def _is_of(wanted: HubModel, model: object) -> bool:
    """Whether ``model`` is what ``wanted`` names, as far as it says."""
    if not isinstance(model, HubModel) or wanted.repo != model.repo:
        return False
    return wanted.choice is None or wanted.choice.lower() == (model.choice or "").lower()


def _listed(model: Json) -> Json:
    return {
        "name": model["id"],
        "model": model["id"],
        "size": model["size"],
        "digest": model["digest"],
        "details": _details(model),
        **_modified(model),
    }


def _modified(model: Json) -> Json:
    return {} if model["modified"] is None else {"modified_at": _time(model["modified"])}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _loaded(model: Json) -> Json:
    found: Json = {"size_vram": 0, "context_length": model["context"] or 0}
    if model["memory"] is not None:
        found["size"] = model["memory"]
    expires = model["expires"]
    found["expires_at"] = _FOR_EVER if expires is None else _time(expires)
    if model["last_used"] is not None:
        found["last_used"] = _time(model["last_used"])
    return found


def _details(model: Json) -> Json:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": model["architecture"],
        "families": [model["architecture"]],
        "parameter_size": _short(model["parameters"]),
        "quantization_level": model["quantization"],
    }


def _short(number: Any) -> str:
    """A count of parameters as people say it: 134.5M."""
    for unit, letter in _UNITS:
        if number and number >= unit:
            return f"{number / unit:.1f}{letter}"
    return str(number or "")
