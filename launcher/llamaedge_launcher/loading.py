"""Models that are checked while the guests that will use them start."""

import threading
from collections.abc import Sequence
from pathlib import Path

from llamaedge_host.nn import Encoding, NeuralNetwork, Preload, Target
from llamaedge_host.nn.backend import BackendError, Graph

from .limits import LimitedGraph, Limits


class LoadingNetwork(NeuralNetwork):
    """Its guests wait until preload_all() has checked every model.

    So a guest judges its command line at once, and what is wrong with a model is said once.
    If a model is no model they wait for ever, and the process must be ended. They keep to
    ``limits``.
    """

    def __init__(
        self, preloads: Sequence[Preload], *, parallel: int | None, limits: Limits | None = None
    ) -> None:
        super().__init__(preloads, parallel=parallel)
        self.limits = limits
        self._checked = threading.Event()
        self._mine = threading.local()

    @property
    def problem(self) -> str | None:
        """Why the last model that this thread asked for by name was not loaded; None if it was."""
        problem: str | None = getattr(self._mine, "problem", None)
        return problem

    def preload_all(self) -> None:
        """Check every model. Raises PreloadError for the first that cannot be one."""
        super().preload_all()
        self._checked.set()

    def load_by_name(self, name: str, config: str | None) -> Graph:
        """A new graph on the preload ``name``. Raises BackendError."""
        self._checked.wait()
        self._mine.problem = None
        try:
            return self._limited(super().load_by_name(name, config), config)
        except BackendError as error:
            self._mine.problem = f"model {name!r}: {error}"
            raise

    def load(self, path: Path, encoding: Encoding, target: Target, config: str | None) -> Graph:
        """A new graph on the model file at ``path``. Raises BackendError."""
        self._checked.wait()
        return self._limited(super().load(path, encoding, target, config), config)

    def _limited(self, graph: Graph, config: str | None) -> Graph:
        return graph if self.limits is None else LimitedGraph(graph, self.limits, config)
