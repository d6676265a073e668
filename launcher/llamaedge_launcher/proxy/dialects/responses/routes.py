"""The paths of OpenAI's Responses API."""

from collections.abc import Mapping

from starlette.routing import Route, request_response
from starlette.types import ASGIApp

from ....storage.records import Records
from ...routing import routes_of
from ..bridge import Bridge
from .description import DESCRIBED
from .endpoints import Count, Create, Responses
from .store import Store


def routes(records: Records, endpoints: Mapping[str, ASGIApp]) -> list[Route]:
    """Make responses by ``endpoints``, and keep them in ``records``."""
    store = Store(records)
    kept = Responses(store)
    apps: dict[str, dict[str, ASGIApp]] = {
        "/v1/responses": {"POST": Bridge(Create(store), endpoints)},
        "/v1/responses/input_tokens": {"POST": Bridge(Count(store), endpoints)},
        "/v1/responses/{id}": {
            "GET": request_response(kept.get),
            "DELETE": request_response(kept.delete),
        },
        "/v1/responses/{id}/input_items": {"GET": request_response(kept.items)},
        "/v1/responses/{id}/cancel": {"POST": request_response(kept.cancel)},
    }
    return routes_of(apps, DESCRIBED)
