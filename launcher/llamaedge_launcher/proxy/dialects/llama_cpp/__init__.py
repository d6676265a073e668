"""llama.cpp's own API: https://github.com/ggml-org/llama.cpp, tools/server.

What a request asks of the model is the guest's to judge: its fields go on as they are.
"""

from .completion import Completion, Infill
from .counting import CountByAnswering
from .embedding import Embedding
from .unversioned import Renamed

__all__ = ["Completion", "CountByAnswering", "Embedding", "Infill", "Renamed"]
