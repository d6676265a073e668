"""The paths of Anthropic's API."""

from collections.abc import Mapping

from starlette.routing import Route
from starlette.types import ASGIApp

from ...routing import routes_of
from ..bridge import Bridge, Dialect
from .description import DESCRIBED
from .endpoints import CountTokens, Messages


def routes(endpoints: Mapping[str, ASGIApp]) -> list[Route]:
    """Answer by OpenAI's ``endpoints``."""
    dialects: dict[str, Dialect] = {
        "/v1/messages": Messages(),
        "/v1/messages/count_tokens": CountTokens(),
    }
    apps = {path: {"POST": Bridge(each, endpoints)} for path, each in dialects.items()}
    return routes_of(apps, DESCRIBED)
