"""Ollama's API: https://github.com/ollama/ollama/blob/main/docs/api.md."""

from .answer import failure
from .endpoints import Chat, Embed, Embeddings, Generate
from .models import Copy, Delete, OllamaModels, Pull, Running, Show

__all__ = [
    "Chat",
    "Copy",
    "Delete",
    "Embed",
    "Embeddings",
    "Generate",
    "OllamaModels",
    "Pull",
    "Running",
    "Show",
    "failure",
]
