"""The GGML backend of wasi-nn, on llama.cpp. Knows no wasm."""

from .backend import GgmlBackend

__all__ = ["GgmlBackend"]
