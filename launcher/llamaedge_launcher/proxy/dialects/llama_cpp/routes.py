"""The paths of llama.cpp's server."""

from collections.abc import Mapping

from starlette.routing import Route
from starlette.types import ASGIApp

from ....settings import Settings
from ...questions import Questions
from ...routing import routes_of
from ..bridge import Bridge, Dialect
from . import completion, embedding, server
from .completion import Completion, Infill
from .embedding import Embedding


def routes(endpoints: Mapping[str, ASGIApp], models: Questions, settings: Settings) -> list[Route]:
    """Complete and embed by OpenAI's ``endpoints``; ask the workers of ``models`` for the rest."""
    dialects: dict[str, Dialect] = {
        "/completion": Completion(),
        "/completions": Completion(),
        "/infill": Infill(),
        "/embedding": Embedding(),
    }
    apps = {path: {"POST": Bridge(each, endpoints)} for path, each in dialects.items()}
    described = {**completion.DESCRIBED, **embedding.DESCRIBED}
    return [*routes_of(apps, described), *server.routes(models, settings)]
