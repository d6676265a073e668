"""The GGML backend of wasi-nn, on llama.cpp. Knows no wasm.

llama.cpp is loaded when the backend is first named; what reads files does without it. How its
threads wait must be said before that.
"""

from typing import TYPE_CHECKING, Any

from .llama.openmp import limit_spinning

if TYPE_CHECKING:
    from .backend import GgmlBackend

__all__ = ["GgmlBackend"]

limit_spinning()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import backend

    return getattr(backend, name)
