"""The engines of this process: one for one model and one set of context parameters."""

import logging
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from weakref import WeakValueDictionary

from ...wording import counted
from ..llama.capacity import cache_bytes, fitting, parallel, swap_bytes
from ..llama.compute import ComputeThread
from ..llama.context import ContextError, ContextParameters
from ..llama.model import Model
from ..media.vocoder import Vocoder
from ..metadata.parse import Settings
from .arrivals import Arrivals
from .counters import Counters
from .embedding import Embedder
from .engine import Engine

_log = logging.getLogger("llamaedge_host.nn")


class Engines:
    """Shares engines among graphs. Safe to use from any thread.

    ``parallel`` is the number of sequences of an engine, None for what memory allows.
    """

    def __init__(self, parallel: int | None) -> None:
        self._parallel = parallel
        self._engines: dict[tuple[Model, ContextParameters], Engine | Embedder] = {}
        self._users: Counter[Engine | Embedder] = Counter()
        self._vocoders: WeakValueDictionary[tuple[Path, bool], Vocoder] = WeakValueDictionary()
        self._thread = ComputeThread()
        self._arrivals = Arrivals()
        self._lock = threading.Lock()

    def acquire(self, model: Model, settings: Settings) -> Engine | Embedder:
        """The engine for what ``settings`` ask for on ``model``. Raises GgmlError."""
        with self._lock:
            parameters = self._parameters(model, settings)
            engine = self._engines.get((model, parameters))
            if engine is None:
                engine = self._engines[model, parameters] = self._make(model, parameters)
            self._users[engine] += 1
            return engine

    def vocoder(self, path: Path, *, gpu: bool) -> Vocoder:
        """The vocoder at ``path``, shared as long as it is used. Raises GgmlError."""
        with self._lock:
            vocoder = self._vocoders.get((path, gpu))
            if vocoder is None:
                vocoder = self._vocoders[path, gpu] = Vocoder(path, self._thread, gpu=gpu)
            return vocoder

    def release(self, engine: Engine | Embedder) -> None:
        """One user less; the last one ends the engine."""
        with self._lock:
            self._users[engine] -= 1
            if self._users[engine]:
                return
            del self._users[engine]
            self._engines = {k: other for k, other in self._engines.items() if other is not engine}
        engine.close()

    def counters(self) -> dict[str, Counters]:
        """The counters of each engine, by its model file's name and a number."""
        with self._lock:
            return {
                f"{model.path.name}#{number}": engine.counters
                for number, ((model, _), engine) in enumerate(self._engines.items())
            }

    def _parameters(self, model: Model, settings: Settings) -> ContextParameters:
        wanted = self._parallel or (settings["n-parallel"] if settings["n-parallel"] > 1 else 0)
        alone = ContextParameters.of(settings, model, 1)
        if alone.embeddings:
            return alone
        for other, known in self._engines:
            if not wanted and other is model and replace(known, parallel=1) == alone:
                return known
        return replace(alone, parallel=wanted or parallel(model, alone))

    def _make(self, model: Model, parameters: ContextParameters) -> Engine | Embedder:
        parameters = fitting(model, parameters)
        if parameters.embeddings:
            return Embedder(model, parameters, self._thread)
        swap = swap_bytes(model.header, parameters)
        try:
            engine = Engine(model, parameters, self._thread, swap=swap, arrivals=self._arrivals)
        except ContextError:
            if parameters.parallel == 1:
                raise
            return self._make(model, replace(parameters, parallel=parameters.parallel // 2))
        _log.info(
            "[WASI-NN] GGML backend: %s: %s of %d tokens, a KV cache of about %d MB and"
            " up to %d MB for what is swapped out of it, %s",
            model.path.name,
            counted(parameters.parallel, "sequence"),
            engine.cells,
            cache_bytes(model.header, parameters) * parameters.parallel // 10**6,
            swap // 10**6,
            counted(parameters.threads[0], "thread"),
        )
        return engine
