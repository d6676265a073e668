"""The graphs that one guest holds: by number, and by name while they are loaded."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Protocol

from .backend import BackendError, Graph
from .bounds import MAX_GRAPHS, MAX_MODEL_BYTES
from .errno import NnErrno
from .handles import Handles, Loaded
from .preload import Encoding, Target


class Loader(Protocol):
    """Where graphs come from. Both raise BackendError."""

    def load_by_name(self, name: str, config: str | None) -> Graph:
        """A new graph on the preload ``name``, with metadata JSON."""

    def load(self, path: Path, encoding: Encoding, target: Target, config: str | None) -> Graph:
        """A new graph on the model file at ``path``, with metadata JSON."""


class Graphs(Handles[Loaded]):
    """A guest's graphs, within the bounds of what one may hold."""

    def __init__(self, loader: Loader) -> None:
        super().__init__()
        self._loader = loader
        self._by_name: dict[str, int] = {}
        self._needed: list[Loaded] = []

    def load(
        self, model: memoryview, encoding: Encoding, target: Target, config: str | None
    ) -> int:
        """The handle of a new graph on the bytes ``model``. Raises BackendError."""
        self._check(len(model))
        with ExitStack() as undo:
            file = undo.enter_context(_file_of(model))
            graph = self._loader.load(Path(file.name), encoding, target, config)
            undo.pop_all()
        return self._hold(Loaded(graph, file=file, size=len(model)))

    def load_by_name(self, name: str, config: str | None) -> int:
        """The handle of the graph on the preload ``name``: of the loaded one, or of a new one.

        Raises BackendError.
        """
        if name not in self._by_name:
            self._check(0)
            graph = self._loader.load_by_name(name, config)
            self._by_name[name] = self._hold(Loaded(graph, name))
        return self._by_name[name]

    def unload(self, handle: int) -> None:
        """Forget ``handle`` and its name. Raises BackendError for an unknown one."""
        loaded = self.pop(handle)
        if loaded.name is not None:
            del self._by_name[loaded.name]
        loaded.unloaded = True
        loaded.settle()

    def close(self) -> None:
        """Close all of them."""
        for loaded in self.drain():
            loaded.close()
        self._by_name.clear()

    def _hold(self, loaded: Loaded) -> int:
        self._needed.append(loaded)
        return self.add(loaded)

    def _check(self, size: int) -> None:
        """Raise BackendError if the guest may not load one more, of ``size`` bytes of its own."""
        self._needed = [loaded for loaded in self._needed if loaded.needed]
        if len(self._needed) >= MAX_GRAPHS:
            raise too_many(f"{MAX_GRAPHS} graphs")
        if size + sum(loaded.size for loaded in self._needed) > MAX_MODEL_BYTES:
            raise too_many(f"models of {MAX_MODEL_BYTES} bytes together")


def too_many(what: str) -> BackendError:
    """The guest holds ``what``, all that one may."""
    return BackendError(
        NnErrno.RUNTIME_ERROR, f"the guest holds {what}, the most that one may; it must free some"
    )


def _file_of(model: memoryview) -> IO[bytes]:
    """A file that holds ``model`` until it is closed. Raises BackendError (RUNTIME_ERROR)."""
    with ExitStack() as undo:
        try:
            file = undo.enter_context(
                tempfile.NamedTemporaryFile(prefix="llamaedge-", suffix=".gguf")
            )
            file.write(model)
            file.flush()
        except OSError as error:
            raise BackendError(
                NnErrno.RUNTIME_ERROR,
                f"the model's {len(model)} bytes cannot be kept in {tempfile.gettempdir()}:"
                f" {error.strerror}",
            ) from None
        undo.pop_all()
    return file
