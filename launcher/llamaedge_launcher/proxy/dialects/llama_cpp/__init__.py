"""llama.cpp's own API: https://github.com/ggml-org/llama.cpp, tools/server.

What a request asks of the model is the guest's to judge: its fields go on as they are.
"""

from collections.abc import Mapping

from starlette.types import ASGIApp

from ...describe import Described
from ..bridge import Dialect
from . import completion, embedding, unversioned
from .completion import Completion, Infill
from .embedding import Embedding
from .unversioned import Renamed

__all__ = ["DESCRIBED", "Completion", "Embedding", "Infill", "Renamed", "posts", "unversioned_apps"]

DESCRIBED: Described = {
    **completion.DESCRIBED,
    **embedding.DESCRIBED,
    **unversioned.DESCRIBED,
}


def posts() -> dict[str, Dialect]:
    """What answers POST, by path."""
    return {
        "/completion": Completion(),
        "/completions": Completion(),
        "/infill": Infill(),
        "/embedding": Embedding(),
    }


def unversioned_apps(endpoints: Mapping[str, ASGIApp]) -> dict[str, ASGIApp]:
    """OpenAI's ``endpoints`` at their paths without the version."""
    return {path.removeprefix("/v1"): Renamed(endpoints[path], path) for path in unversioned.PATHS}
