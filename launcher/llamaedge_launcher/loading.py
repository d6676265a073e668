"""Models that load while the guests that will use them start."""

import threading
from collections.abc import Sequence
from pathlib import Path

from llamaedge_host.nn import Encoding, NeuralNetwork, Preload, Target
from llamaedge_host.nn.backend import Graph


class LoadingNetwork(NeuralNetwork):
    """Its guests wait until preload_all() has loaded every model.

    So a guest judges its command line at once, and what is wrong with a model is said once.
    If a model does not load they wait for ever, and the process must be ended.
    """

    def __init__(self, preloads: Sequence[Preload], *, parallel: int | None) -> None:
        super().__init__(preloads, parallel=parallel)
        self._loaded = threading.Event()

    def preload_all(self) -> None:
        """Load every model. Raises PreloadError for the first that cannot be loaded."""
        super().preload_all()
        self._loaded.set()

    def load_by_name(self, name: str, config: str | None) -> Graph:
        """A new graph on the preload ``name``. Raises BackendError."""
        self._loaded.wait()
        return super().load_by_name(name, config)

    def load(self, path: Path, encoding: Encoding, target: Target, config: str | None) -> Graph:
        """A new graph on the model file at ``path``. Raises BackendError."""
        self._loaded.wait()
        return super().load(path, encoding, target, config)
