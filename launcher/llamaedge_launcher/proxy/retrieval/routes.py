"""Which handler answers which request about vector stores."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..body import read_json
from ..routing import routes_of
from .description import DESCRIBED
from .entries import Entries
from .shelf import Shelf
from .stores import Stores

_ALL = "/v1/vector_stores"
_STORE = f"{_ALL}/{{store}}"
_FILE = f"{_STORE}/files/{{file}}"
_BATCH = f"{_STORE}/file_batches/{{batch}}"
Handler = Callable[[Request, Mapping[str, Any]], Awaitable[Response]]


def routes(shelf: Shelf) -> list[Route]:
    """Keep, fill and search the stores of ``shelf``."""
    stores, entries = Stores(shelf), Entries(shelf)
    get = request_response
    apps: dict[str, dict[str, ASGIApp]] = {
        _ALL: {"GET": get(stores.list), "POST": _Told(stores.create)},
        _STORE: {
            "GET": get(stores.get),
            "POST": _Told(stores.change),
            "DELETE": get(stores.delete),
        },
        f"{_STORE}/search": {"POST": _Told(stores.search)},
        f"{_STORE}/files": {"GET": get(entries.list), "POST": _Told(entries.create)},
        _FILE: {
            "GET": get(entries.get),
            "POST": _Told(entries.change),
            "DELETE": get(entries.delete),
        },
        f"{_FILE}/content": {"GET": get(entries.content)},
        f"{_STORE}/file_batches": {"POST": _Told(entries.create_batch)},
        _BATCH: {"GET": get(entries.get_batch)},
        f"{_BATCH}/cancel": {"POST": get(entries.cancel_batch)},
        f"{_BATCH}/files": {"GET": get(entries.list_batch)},
    }
    return routes_of(apps, DESCRIBED)


class _Told:
    """An application of a handler that is told a JSON object."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._handler(Request(scope), await read_json(scope, receive))
        await response(scope, receive, send)
