"""What a worker is to serve, and what a request asks for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..control import WorkerConfig
from ..models.reference import called

Kind = Literal["chat", "embeddings"]

DEFAULT = "default"
"""What a request may name in place of the first model of its kind."""


@dataclass(frozen=True)
class Model:
    """A model: ``id`` is what requests call it, ``name`` what a person types to run it.

    ``version`` is another one when the file at ``path`` is. Requests may call it by ``aliases``,
    too; ``tags`` say to clients what it is for.
    """

    id: str
    name: str
    kind: Kind
    path: Path
    projector: Path | None = None
    version: str = ""
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All that it may be called."""
        return (self.id, self.name, *self.aliases)


@dataclass(frozen=True)
class Recipe:
    """``models`` are what the worker's guests serve: one, or a chat and an embedding model.

    ``limit`` is the number of requests that a guest answers at once.
    """

    models: tuple[Model, ...]
    worker: WorkerConfig
    limit: int

    @property
    def id(self) -> str:
        """The first model's."""
        return self.models[0].id

    def serves(self, name: str) -> bool:
        """Whether one of the models is called ``name``, with or without Ollama's :latest."""
        wanted = called(name)
        return any(wanted in map(called, model.names) for model in self.models)


def version(path: Path) -> str:
    """What tells the file at ``path`` from another one; "" if there is none."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_dev}.{found.st_ino}.{found.st_size}.{found.st_mtime_ns}"


@dataclass(frozen=True)
class Wanted:
    """The model that a request is for: its ``name``, if it names one, and its ``kind``."""

    name: str | None = None
    kind: Kind | None = None
