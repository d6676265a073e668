"""WASI preview 1: what wasmtime's own does not do."""

from .provider import Wasi

__all__ = ["Wasi"]
