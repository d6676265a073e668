"""Models whose problems are told to the guest's own thread."""

import threading
from collections.abc import Sequence
from pathlib import Path

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.keeping import Keeping
from llamaedge_host.ggml.llama.adapters import AdapterFile
from llamaedge_host.nn import Encoding, NeuralNetwork, Preload, Target
from llamaedge_host.nn.backend import BackendError, Graph

from .limits import LimitedGraph, Limits


class LoadingNetwork(NeuralNetwork):
    """Remembers for each thread, which is a guest's, why it got no model.

    Its guests keep to ``limits``. ``keeping`` says what is kept of their KV caches; ``adapters``
    change the weights of models that make text.
    """

    def __init__(
        self,
        preloads: Sequence[Preload],
        *,
        parallel: int | None,
        limits: Limits | None = None,
        rpc: Sequence[str] = (),
        keeping: Keeping | None = None,
        adapters: Sequence[AdapterFile] = (),
    ) -> None:
        super().__init__(preloads, parallel=parallel, backends={Encoding.GGML: self._ggml})
        self._rpc = rpc
        self.limits = limits
        self._parallel = parallel
        self._keeping = keeping
        self._adapters = adapters
        self._mine = threading.local()

    def _ggml(self) -> GgmlBackend:
        return GgmlBackend(
            parallel=self._parallel,
            keeping=self._keeping,
            preloaded=self._files_of(Encoding.GGML),
            rpc=self._rpc,
            adapters=self._adapters,
        )

    def begin_rendering(self) -> None:
        """Start what renders the models' chat templates, for guests that ask for it."""
        if self.limits is None:
            self._backend.begin_rendering()

    def keep(self) -> None:
        """Write what rests in KV caches to files now, where there are to be any. Blocks."""
        self._backend.keep()

    @property
    def _backend(self) -> GgmlBackend:
        backend = self.backend(Encoding.GGML)
        assert isinstance(backend, GgmlBackend)
        return backend

    @property
    def problem(self) -> str | None:
        """Why the last model that this thread asked for by name was not loaded; None if it was."""
        problem: str | None = getattr(self._mine, "problem", None)
        return problem

    def load_by_name(self, name: str, config: str | None) -> Graph:
        """A new graph on the preload ``name``. Raises BackendError."""
        self._mine.problem = None
        try:
            return self._limited(super().load_by_name(name, config), config)
        except BackendError as error:
            self._mine.problem = f"model {name!r}: {error}"
            raise

    def load(self, path: Path, encoding: Encoding, target: Target, config: str | None) -> Graph:
        """A new graph on the model file at ``path``. Raises BackendError."""
        return self._limited(super().load(path, encoding, target, config), config)

    def _limited(self, graph: Graph, config: str | None) -> Graph:
        return graph if self.limits is None else LimitedGraph(graph, self.limits, config)
