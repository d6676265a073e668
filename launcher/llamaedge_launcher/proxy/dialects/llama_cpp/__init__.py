"""llama.cpp's own API: https://github.com/ggml-org/llama.cpp, tools/server.

What a request asks of the model is the guest's to judge: its fields go on as they are.
"""

from ...describe import Described
from ..bridge import Dialect
from . import completion, embedding, server, unversioned
from .completion import Completion, Infill
from .counting import CountByAnswering
from .embedding import Embedding
from .unversioned import Renamed

__all__ = ["DESCRIBED", "Completion", "CountByAnswering", "Embedding", "Infill", "Renamed", "posts"]

DESCRIBED: Described = {
    **completion.DESCRIBED,
    **embedding.DESCRIBED,
    **server.DESCRIBED,
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
