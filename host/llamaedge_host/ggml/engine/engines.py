"""The engines of this process: one for one model and one set of context parameters."""

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from weakref import WeakValueDictionary

from ...wording import counted
from ..errors import GgmlError
from ..keeping import Keeping
from ..llama.adapters import AdapterFile
from ..llama.capacity import Free, Sizing, size, swap_bytes
from ..llama.compute import ComputeThread
from ..llama.context import ContextError, ContextParameters
from ..llama.memory import shown
from ..llama.model import Model
from ..llama.model_parameters import ModelParameters
from ..llama.needs import NOTHING, Needs, adapters
from ..llama.unmet import unmet
from ..llama.zeroing import ON_USE
from ..media.vocoder import Vocoder
from ..metadata.parse import Settings
from .arrivals import Arrivals
from .counters import Counters
from .embedding import Embedder
from .engine import Engine
from .store import private_folder

_log = logging.getLogger("llamaedge_host.nn")
_SizingKey = tuple[Path, ModelParameters, ContextParameters]


class Engines:
    """Shares engines among graphs. Safe to use from any thread.

    ``parallel`` is the number of sequences of an engine, None for what memory allows. ``keeping``
    says what is kept of their caches. ``adapters`` are those of models that make text.
    """

    def __init__(
        self,
        parallel: int | None,
        keeping: Keeping | None = None,
        adapters: Sequence[AdapterFile] = (),
    ) -> None:
        self._parallel = parallel
        self._adapters = adapters
        self._keeping = keeping or Keeping()
        self._engines: dict[tuple[Model, ContextParameters], Engine | Embedder] = {}
        self._sizings: dict[_SizingKey, Sizing] = {}
        self._users: Counter[Engine | Embedder] = Counter()
        self._vocoders: WeakValueDictionary[tuple[Path, bool], Vocoder] = WeakValueDictionary()
        self._thread = ComputeThread()
        self._arrivals = Arrivals()
        self._lock = threading.Lock()

    def acquire(
        self, model: Model, settings: Settings, draft: Model | None = None
    ) -> Engine | Embedder:
        """The engine for what ``settings`` ask for on ``model``, for which ``draft`` drafts.

        Raises GgmlError.
        """
        settings = self._completed(settings)
        with self._lock:
            asked = self._asked(model, settings)
            engine = self._engines.get((model, asked))
            if engine is None:
                engine = self._engines[model, asked] = self._make(model, settings, asked, draft)
            self._users[engine] += 1
            return engine

    def suited(
        self,
        hollow: Model,
        settings: Settings,
        beside: Iterable[Needs],
        sharing: int,
        draft: Model | None,
    ) -> Sizing:
        """What suits ``settings`` on ``hollow``, which then gets it. Raises GgmlError.

        It leaves room for what is ``beside`` it, and for as many models as are ``sharing``.
        ``draft``, hollow too, drafts for it.
        """
        settings = self._completed(settings)
        with self._lock:
            parallel = self._sequences(settings)
            free = Free.now(hollow, beside)
            sizing = size(
                hollow,
                settings,
                parallel=parallel,
                free=free,
                sharing=sharing,
                draft=draft,
                adapters=self.adapters_needed(hollow, settings),
            )
            asked = self._asked(hollow, settings.with_changes(sizing.told))
            self._sizings[hollow.path, hollow.parameters, asked] = sizing
            return sizing

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

    def first(self) -> Engine | Embedder | None:
        """The first engine, if there is one."""
        with self._lock:
            return next(iter(self._engines.values()), None)

    def scoring(self) -> Embedder | None:
        """The first engine that scores, if there is one."""
        with self._lock:
            found = [each for each in self._engines.values() if isinstance(each, Embedder)]
        return next((each for each in found if each.scores), None)

    def text(self) -> Engine | None:
        """The first engine that makes text, if there is one."""
        with self._lock:
            return next((each for each in self._engines.values() if isinstance(each, Engine)), None)

    def keep(self) -> None:
        """Write what rests in caches to files now, where there are to be any."""
        with self._lock:
            found = [each for each in self._engines.values() if isinstance(each, Engine)]
        if self._keeping.folder is not None:
            for each in found:
                with suppress(GgmlError):  # which has been closed by now
                    each.keep()

    def _completed(self, settings: Settings) -> Settings:
        """``settings`` with what is said of all models, where they leave it open."""
        ram = self._keeping.ram
        if ram is None or settings["cache-ram"] >= 0:
            return settings
        return settings.with_changes({"cache-ram": ram})

    def _sequences(self, settings: Settings) -> int:
        """The number of sequences that is asked for, 0 for one that suits."""
        several: int = settings["n-parallel"]
        return self._parallel or (several if several > 1 else 0)

    def adapters_needed(self, model: Model, settings: Settings) -> Needs:
        """What is to be loaded beside ``model`` of adapters. Raises GgmlError."""
        return NOTHING if settings["embedding"] else adapters(self._adapters, model)

    def _asked(self, model: Model, settings: Settings) -> ContextParameters:
        """What tells an engine from others: what is asked for, 0 where that is left open."""
        parallel = self._sequences(settings)
        asked = ContextParameters.of(settings, model, parallel)
        if not settings["ctx-size"]:
            asked = replace(asked, cells=0)
        for other, known in self._engines:
            if not parallel and other is model and replace(known, parallel=asked.parallel) == asked:
                return known
        return asked

    def _make(
        self, model: Model, settings: Settings, asked: ContextParameters, draft: Model | None
    ) -> Engine | Embedder:
        sizing = self._sizings.get((model.path, model.parameters, asked))
        if sizing is None:
            with ExitStack() as hollow:
                parallel = self._sequences(settings)
                sizing = size(
                    hollow.enter_context(closing(model.hollow())),
                    settings,
                    parallel=parallel,
                    free=Free.now(model),
                    loaded=True,
                    draft=draft and hollow.enter_context(closing(draft.hollow())),
                    adapters=self.adapters_needed(model, settings),
                )
        for line in unmet(settings, model, sizing.parameters):
            _log.warning("[WASI-NN] GGML backend: %s: %s", model.path.name, line)
        if sizing.parameters.embeddings:
            return Embedder(model, sizing.parameters, self._thread)
        return self._engine(model, sizing, draft)

    def _engine(self, model: Model, sizing: Sizing, draft: Model | None) -> Engine:
        swap = swap_bytes(sizing)
        try:
            engine = Engine(
                model,
                sizing,
                self._thread,
                swap=swap,
                arrivals=self._arrivals,
                draft=draft,
                adapters=self._adapters,
            )
        except ContextError:
            if sizing.parameters.parallel == 1:
                raise
            return self._engine(model, sizing.halved(), draft)
        if self._keeping.folder is not None:
            try:
                folder = private_folder(self._keeping.folder, "--cache-dir")
                engine.keep_in(folder, self._keeping.disk)
            except BaseException:
                engine.close()
                raise
        needs = sizing.whole.whole
        _log.info(
            "[WASI-NN] GGML backend: %s: %s of %d tokens, %s; %s of weights, %s of KV cache (%s)%s,"
            " %s of buffers, and up to %s for what is swapped out of the cache",
            model.path.name,
            counted(sizing.parameters.parallel, "sequence"),
            engine.cells,
            counted(sizing.parameters.threads[0], "thread"),
            *map(shown, (needs.weights, needs.cache)),
            sizing.parameters.types_shown,
            " as it is used" if ON_USE else "",
            *map(shown, (needs.buffers, swap)),
        )
        return engine
