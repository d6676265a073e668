"""The routes of the public server."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute, request_response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from ..fleet.managed import Managed
from ..settings import Settings
from . import absent, chunks, files, guest_api, hub, manage, metrics, models, openapi, rendering
from .audio import routes as audio
from .body import Bodies, Room
from .chunks import Chunks
from .describe import JSON, STRING, Described, answered, enum, operation, record
from .dialects import ollama_models, responses, table
from .dialects.bridge import Bridge
from .dialects.errors import ToldErrors
from .dialects.llama_cpp import CountByAnswering, Renamed, server
from .dialects.llama_cpp.unversioned import HEADERS, without_version
from .dialects.responses import Responses
from .dialects.table import dialects
from .errors import (
    ApiError,
    answer_api_error,
    answer_exception,
    answer_http_exception,
)
from .files import Files
from .forward import Forward
from .guest_api import CHAT, COUNT_TOKENS, ENDPOINTS
from .hub import HubModels
from .keys import Keys
from .manage import ManagedModels
from .metrics import Metrics
from .models import Models
from .official import Official
from .openapi import OpenApi
from .origins import Cors, Origins
from .page import Page
from .questions import Questions
from .record import Observer, Recorded, log_line
from .remote.pictures import Pictures
from .rendering import Rendering
from .retrieval import description as retrieval
from .retrieval.embedder import GuestEmbedder
from .retrieval.routes import shelf_routes
from .retrieval.shelf import Shelf
from .rooted import Rooted
from .transport import Transport
from .websocket import WebSockets

_HEALTH = record({"status": enum("ready", "loading", "unavailable")}, message=STRING)
DESCRIBED: Described = {
    **absent.DESCRIBED,
    **audio.DESCRIBED,
    **chunks.DESCRIBED,
    **files.DESCRIBED,
    **table.DESCRIBED,
    **guest_api.DESCRIBED,
    **hub.DESCRIBED,
    **manage.DESCRIBED,
    **metrics.DESCRIBED,
    **models.DESCRIBED,
    **openapi.DESCRIBED,
    **rendering.DESCRIBED,
    **responses.DESCRIBED,
    **retrieval.DESCRIBED,
    ("/health", "GET"): answered(
        operation("How the server is", tag="server", answers={JSON: _HEALTH}, public=True),
        503,
        {JSON: _HEALTH},
    ),
}
"""Every route, by its module."""

_ANY = ("GET", "POST", "PUT", "PATCH", "DELETE")
_HANDLERS: dict[Any, Any] = {
    ApiError: answer_api_error,
    HTTPException: answer_http_exception,
}


def create_app(
    transport: Transport,
    fleet: Managed,
    settings: Settings,
    *,
    known_only: bool,
    local: bool,
    replica: str | None = None,
) -> Starlette:
    """The public server's application.

    With ``known_only`` a path outside the table is a 404; else it goes to the guest, which
    may serve more. ``local`` says that only this machine reaches the server. One of several servers
    tells its numbers under the name ``replica``. Its ``state.shelf`` has what is to begin once the
    models are ready.
    """

    async def answer_health(scope: Scope, receive: Receive, send: Send) -> None:
        found = fleet.health()
        body = {name: value for name, value in asdict(found).items() if value is not None}
        status = 200 if found.status == "ready" else 503
        await JSONResponse(body, status)(scope, receive, send)

    async def names() -> set[str]:
        return {name for each in await fleet.models() for name in each.names}

    def made_right(guest: Forward) -> ASGIApp:
        known = names if settings.strict_model else None
        return Official(guest, known=known) if settings.official else guest

    counted = Metrics(fleet, replica=replica, told=settings.metrics)
    observers = (log_line, counted.observe)
    described = OpenApi(DESCRIBED, keys=bool(settings.keys))
    room = Room(most=settings.max_body_size, together=settings.max_body_memory)
    root = settings.root_path
    managed, from_hub = ManagedModels(fleet), HubModels(fleet)
    routes: list[BaseRoute] = [
        _route("/health", {"GET": answer_health}),
        _route("/metrics", {"GET": request_response(counted.answer)}),
        _route("/api/render", {"POST": Rendering()}),
        *(_route(path, apps) for path, apps in Models(fleet).apps.items()),
        *_model_routes(managed, from_hub),
    ]
    asked: dict[str, ASGIApp] = {
        table.MODELS: request_response(managed.list),
        table.IDENTIFIED: request_response(managed.identified),
        table.UNLOAD: request_response(managed.unload),
        ollama_models.PULL: from_hub.pull,
        ollama_models.DELETE: request_response(from_hub.delete),
    }
    pictures = Pictures(settings.image_urls, settings.media_path)
    for each in ENDPOINTS:
        guest = made_right(
            Forward(
                transport,
                requires=each.requires,
                computes=each.computes,
                kind=each.kind,
                pictures=pictures if each.requires == "messages" else None,
            )
        )
        if settings.official and each.path == COUNT_TOKENS:
            guest = Bridge(CountByAnswering(), asked)
        asked[each.path] = guest
        routes.append(_route(each.path, dict.fromkeys(each.methods, guest)))
        if each.path == CHAT:
            routes += _socket_routes(guest, observers, room)
    stored = Files(settings.data_dir, most=settings.max_file_size)
    shelf = Shelf(settings.data_dir, stored, GuestEmbedder(transport))
    routes += _stored_routes(stored, shelf)
    routes += [_route(path, apps) for path, apps in dialects(asked).items()]
    own = server.apps(Questions(fleet), settings)
    routes += [_route(path, apps) for path, apps in own.items()]
    if known_only:
        routes += _unshared_routes(transport, asked)
    kept = Responses(settings.data_dir, asked)
    routes += [_route(path, apps) for path, apps in kept.apps.items()]
    routes += _unversioned(routes)
    routes.append(_route("/openapi.json", {"GET": request_response(described.answer)}))
    described.serve(routes)
    if not known_only:
        rest = _Contained(made_right(Forward(transport, requires=None, computes=True)))
        routes.append(_route("/{path:path}", dict.fromkeys(_ANY, rest)))
    app = Starlette(
        routes=routes,
        exception_handlers={**_HANDLERS, Exception: answer_exception},
        middleware=[
            *([Middleware(Rooted, root=root)] if root else []),
            Middleware(Recorded, observers=observers),
            Middleware(ToldErrors),
            Middleware(Bodies, room=room),
            *_middleware(settings, _first_parts(routes), known_only=known_only, local=local),
        ],
    )
    app.state.shelf = shelf
    return app


def _first_parts(routes: Sequence[BaseRoute]) -> set[str]:
    """What paths begin with that are not the page's."""
    paths = [route.path for route in routes if isinstance(route, Route)]
    return {path.split("/")[1] for path in paths if not path.startswith("/{")}


def _middleware(
    settings: Settings, reserved: set[str], *, known_only: bool, local: bool
) -> list[Middleware]:
    """What a request passes, from the outside in."""
    keys, origins = settings.keys, settings.origins
    found = [Middleware(Origins, origins=origins, local=local, foreign=bool(keys))]
    if origins:
        found.append(Middleware(Cors, origins=origins))
    folder = settings.web_ui
    if folder is not None:
        found.append(Middleware(Page, folder=folder, reserved=reserved, last=known_only))
    if keys:
        guests_page = folder is None and not known_only
        found.append(Middleware(Keys, keys=keys, page=guests_page))
    if folder is None and known_only:
        found.append(Middleware(ollama_models.Running))
    return found


def _socket_routes(chat: ASGIApp, observers: Sequence[Observer], room: Room) -> list[BaseRoute]:
    """WebSockets, which speak to ``chat`` alone."""

    async def refuse(websocket: WebSocket) -> None:
        raise HTTPException(404)

    asked = ExceptionMiddleware(Bodies(_Methods(CHAT, {"POST": chat}), room=room), _HANDLERS)
    return [
        WebSocketRoute(CHAT, WebSockets(asked, observers=observers)),
        WebSocketRoute("/{path:path}", refuse),
    ]


def _unshared_routes(transport: Transport, asked: Mapping[str, ASGIApp]) -> list[Route]:
    """What another guest than the bundled one may serve itself: sound, and what is not here."""
    speaking = Forward(transport, requires="input", computes=True, kind="chat")
    spoken = audio.audio_routes(asked, speaking)
    return [_route(path, apps) for path, apps in {**absent.apps(), **spoken}.items()]


def _stored_routes(stored: Files, shelf: Shelf) -> list[Route]:
    """Files and vector stores."""
    stored.on_delete = shelf.forget
    stores = [_route(path, apps) for path, apps in shelf_routes(shelf).items()]
    return [*_file_routes(stored), *stores]


def _unversioned(routes: Sequence[BaseRoute]) -> list[Route]:
    """Those of ``routes`` that are there without their version, too."""
    return [
        _route(
            without_version(route.path),
            dict.fromkeys(route.app.methods, Renamed(route.app, route.path)),
        )
        for route in routes
        if isinstance(route, Route) and isinstance(route.app, _Methods) and route.path in HEADERS
    ]


def _model_routes(models: ManagedModels, hub_models: HubModels) -> list[Route]:
    return [
        _route("/api/models", {"GET": request_response(models.list)}),
        _route("/api/models/load", {"POST": request_response(models.load)}),
        _route("/api/models/unload", {"POST": request_response(models.unload)}),
        _route("/api/models/pull", {"POST": hub_models.pull}),
        _route("/api/models/search", {"GET": request_response(hub_models.search)}),
        _route("/api/models/{name:path}", {"DELETE": request_response(hub_models.delete)}),
    ]


def _file_routes(files: Files) -> list[Route]:
    one = {"GET": request_response(files.get), "DELETE": request_response(files.delete)}
    return [
        _route("/v1/chunks", {"POST": Chunks(files)}),
        _route("/v1/files", {"GET": request_response(files.list), "POST": files.upload}),
        _route("/v1/files/{id}", one),
        _route("/v1/files/{id}/content", {"GET": request_response(files.content)}),
        _route("/v1/files/download/{id}", {"GET": request_response(files.download)}),
    ]


def _route(path: str, apps: Mapping[str, ASGIApp]) -> Route:
    return Route(path, _Methods(path, apps))


class _Methods:
    """The application of each method; answers OPTIONS, and methods that it has not, itself."""

    def __init__(self, path: str, apps: Mapping[str, ASGIApp]) -> None:
        self._path = path
        self._apps = dict(apps)
        if "GET" in apps:
            self._apps["HEAD"] = apps["GET"]
        self.methods = tuple(apps)
        self._allow = {"Allow": ", ".join(sorted({*self._apps, "OPTIONS"}))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        scope["record"].route = self._path
        if method == "OPTIONS":
            await Response(None, 204, self._allow)(scope, receive, send)
        elif method not in self._apps:
            raise HTTPException(405, headers=self._allow)
        else:
            await self._apps[method](scope, receive, send)


class _Contained:
    """Refuses paths that climb, which a guest's static files might follow."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if ".." in scope["path"].replace("\\", "/").split("/"):
            raise HTTPException(404)
        await self._app(scope, receive, send)
