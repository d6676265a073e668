"""The GGML backend: what ``nn`` loads graphs from."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from ..nn.errno import NnErrno
from ..nn.preload import Target
from .chat.renderer import Renderer
from .chat.sources import sources
from .engine.counters import Counters
from .engine.engine import Engine
from .engine.engines import Engines
from .engine.slots import SlotState
from .errors import GgmlError
from .graph import GgmlGraph
from .keeping import Keeping
from .llama.adapters import AdapterFile
from .llama.draft import draft_path
from .llama.model import Models
from .llama.needs import Needs
from .llama.rpc import connect
from .media.pictures import Projectors
from .metadata.parse import Settings, Value, parse
from .properties import Properties
from .ranking import Ranked, rank
from .suited import Suited, suit

Found = TypeVar("Found")

_PATIENCE = 60.0  # seconds that one waits for a slot that is busy
_LOOK = 0.02


class GgmlBackend:
    """The models and engines of this process: a ``nn.backend.Backend``.

    ``parallel`` is the number of sequences that an engine computes at once, None for what the
    machine's memory allows, at most 8. ``preloaded`` are the files of models by the names that
    metadata may have for them. ``keeping`` says what is kept of KV caches. ``rpc`` are the
    addresses of RPC workers whose devices are used too. Raises GgmlError if one does not answer.
    ``adapters`` are for the models that make text.
    """

    def __init__(
        self,
        *,
        parallel: int | None = None,
        keeping: Keeping | None = None,
        preloaded: Mapping[str, Path] = MappingProxyType({}),
        rpc: Sequence[str] = (),
        adapters: Sequence[AdapterFile] = (),
    ) -> None:
        connect(rpc)
        self._models = Models()
        self._engines = Engines(parallel, keeping, adapters)
        self._projectors = Projectors()
        self._renderer = Renderer()
        self._preloaded = preloaded

    def preload(self, path: Path) -> None:
        """Check the model file at ``path``; once loaded it stays until ``close``.

        Raises GgmlError for a file that cannot be a model.
        """
        self._models.keep(path)

    def begin_rendering(self) -> None:
        """Start what renders chat templates, if one of the preloaded models has any."""
        if any(sources(header.metadata) for header in self._models.headers()):
            self._renderer.begin()

    def load(self, path: Path, target: Target, config: str | None) -> GgmlGraph:
        """A graph on the model at ``path`` with metadata JSON. Raises GgmlError.

        With metadata its engine is set up too; without, only when it is needed, since
        metadata may still follow.
        """
        settings = Settings().with_changes(parse(config)) if config else Settings()
        graph = GgmlGraph(
            path,
            target,
            settings,
            self._models,
            self._engines,
            self._projectors,
            self._renderer,
            self._preloaded,
        )
        if config:
            try:
                graph.engine()
            except BaseException:
                graph.close()
                raise
        return graph

    def suited(
        self,
        path: Path,
        target: Target,
        given: Mapping[str, Value],
        beside: Sequence[Needs] = (),
        *,
        sharing: int = 1,
    ) -> Suited:
        """What suits the model at ``path`` where ``given``, metadata, leaves it open.

        ``beside`` it will be others, and ``sharing`` models start at a time. Nothing is loaded.
        Raises GgmlError for what does not fit.
        """
        draft = draft_path(Settings().with_changes(given), self._preloaded)
        return suit(self._models, self._engines, path, target, given, beside, sharing, draft)

    def counters(self) -> dict[str, Counters]:
        """What each engine has done, by its model file's name and a number."""
        return self._engines.counters()

    def statistics(self) -> dict[str, dict[str, object]]:
        """The same as plain numbers, fit for JSON."""
        return {name: counters.as_dict() for name, counters in self.counters().items()}

    def slots(self) -> list[SlotState]:
        """What the slots of the first engine that makes text are doing; none before there is one.

        Raises GgmlError.
        """
        engine = self._engines.text()
        return [] if engine is None else engine.slots()

    def keep(self) -> None:
        """Write what rests in KV caches to files now, where there are to be any. Blocks."""
        self._engines.keep()

    def save_slot(self, slot: int, path: Path) -> tuple[int, int]:
        """Write what ``slot`` of the first text engine caches to ``path``, once it is free.

        Answers its tokens and the file's bytes. Blocks. Raises GgmlError as Keeper's save().
        """
        return _once_free(lambda: self._text().save(slot, path))

    def restore_slot(self, slot: int, path: Path) -> tuple[int, int]:
        """The other way round. Blocks. Raises GgmlError as Keeper's restore()."""
        return _once_free(lambda: self._text().restore(slot, path))

    def erase_slot(self, slot: int) -> int:
        """Forget what ``slot`` caches; how many tokens. Blocks. Raises GgmlError."""
        return _once_free(lambda: self._text().erase(slot))

    def _text(self) -> Engine:
        engine = self._engines.text()
        if engine is None:
            raise GgmlError(NnErrno.UNSUPPORTED_OPERATION, "no model that makes text is loaded")
        return engine

    def adapters(self) -> list[AdapterFile]:
        """The adapters of the first text engine with their scales. Raises GgmlError."""
        found = self._text().adapters
        return [
            replace(each, scale=scale)
            for each, scale in zip(found.files, found.scales, strict=True)
        ]

    def scale_adapters(self, pairs: object) -> None:
        """Change the scales for what is computed later, as Adapters' of() reads them.

        Raises GgmlError.
        """
        found = self._text().adapters
        found.scales = found.of(pairs)

    def rank(self, query: str, documents: Sequence[str]) -> list[Ranked]:
        """The scores of ``documents`` for ``query``, by the first model that scores. Blocks.

        Raises GgmlError: UNSUPPORTED_OPERATION where no model does.
        """
        engine = self._engines.scoring()
        if engine is None:
            raise GgmlError(
                NnErrno.UNSUPPORTED_OPERATION,
                "the model does not score documents; serve one for reranking, whose file says that"
                " it pools by rank",
            )
        return rank(engine, query, documents)

    def properties(self) -> Properties:
        """What there is to tell of the first model. Raises GgmlError if none is loaded."""
        engine = self._engines.first()
        if engine is None:
            raise GgmlError(NnErrno.RUNTIME_ERROR, "no model is loaded yet")
        return Properties.of(engine)

    def close(self) -> None:
        """Free the models that stay by ``preload`` once no graph uses them."""
        self._models.close()
        self._renderer.close()


def _once_free(act: Callable[[], Found]) -> Found:
    """What ``act`` answers, once its slot is not busy."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return act()
        except GgmlError as error:
            if error.errno is not NnErrno.BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_LOOK)
