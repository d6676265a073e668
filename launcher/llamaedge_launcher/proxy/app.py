"""The public server: the routes of all modules, and what a request passes before one of them."""

from collections.abc import Sequence
from functools import partial

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from ..fleet.managed import Managed
from ..settings import Settings
from . import (
    absent,
    chunks,
    files,
    health,
    hub,
    manage,
    metrics,
    models,
    openapi,
    rendering,
    websocket,
)
from .audio import routes as audio
from .body import Bodies, Room
from .dialects.anthropic import routes as anthropic
from .dialects.errors import ToldErrors
from .dialects.llama_cpp import routes as llama_cpp
from .dialects.llama_cpp import unversioned
from .dialects.ollama import Running
from .dialects.ollama import routes as ollama
from .dialects.responses import routes as responses
from .errors import HANDLERS, answer_exception
from .files import Files
from .guest_api import CHAT
from .guests import Guests
from .hub import HubModels
from .keys import Keys
from .manage import ManagedModels
from .metrics import Metrics
from .origins import Cors, Origins
from .page import Page
from .questions import Questions
from .record import Recorded, log_line
from .retrieval import routes as retrieval
from .retrieval.embedder import GuestEmbedder
from .retrieval.shelf import Shelf
from .rooted import Rooted
from .transport import Transport


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
    models are ready, its ``state.records`` what is to be closed at the end.
    """
    guests = Guests(transport, fleet, settings)
    counted = Metrics(fleet, replica=replica, told=settings.metrics)
    observers = (log_line, counted.observe)
    room = Room(most=settings.max_body_size, together=settings.max_body_memory)
    managed, from_hub = ManagedModels(fleet), HubModels(fleet)
    records = settings.places.open_records()
    stored = Files(partial(settings.places.open_files, records), most=settings.max_file_size)
    shelf = Shelf(records, stored, GuestEmbedder(transport))
    stored.on_delete = shelf.forget
    endpoints = {**guests.endpoints, **from_hub.endpoints}
    routes: list[BaseRoute] = [
        *health.routes(fleet),
        *metrics.routes(counted),
        *rendering.routes(),
        *models.routes(fleet),
        *manage.routes(managed),
        *hub.routes(from_hub),
        *guests.routes(),
        *websocket.routes(CHAT, endpoints[CHAT], observers=observers, room=room),
        *files.routes(stored),
        *chunks.routes(stored),
        *retrieval.routes(shelf),
        *anthropic.routes(endpoints),
        *ollama.routes(endpoints, managed),
        *llama_cpp.routes(endpoints, Questions(fleet), settings),
        *responses.routes(records, endpoints),
    ]
    if known_only:  # another guest than the bundled one may serve these itself
        routes += [*absent.routes(), *audio.routes(endpoints, guests.speech())]
    routes += unversioned.routes(routes)
    routes += openapi.routes(routes, keys=bool(settings.keys))
    if not known_only:
        routes.append(guests.everything())
    app = Starlette(
        routes=routes,
        exception_handlers={**HANDLERS, Exception: answer_exception},
        middleware=[
            *([Middleware(Rooted, root=settings.root_path)] if settings.root_path else []),
            Middleware(Recorded, observers=observers),
            Middleware(ToldErrors),
            Middleware(Bodies, room=room),
            *_middleware(settings, _first_parts(routes), known_only=known_only, local=local),
        ],
    )
    app.state.shelf = shelf
    app.state.records = records
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
        found.append(Middleware(Running))
    return found
