"""Graphs: a model with its metadata, shared by the execution contexts made of it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ..files import NO_FILES, Files
from ..nn.backend import Output
from ..nn.errno import NnErrno
from ..nn.preload import Target
from .chat.renderer import Renderer
from .chat.sources import DEFAULT, KEY, sources
from .chat.template import ChatTemplate, NoTemplate
from .context import GgmlContext
from .engine.embedding import Embedder
from .engine.engine import Engine
from .engine.engines import Engines
from .errors import GgmlError
from .llama.context import ContextParameters
from .llama.draft import check as check_draft
from .llama.draft import draft_path
from .llama.library import cpus, logging_to
from .llama.model import Model, Models
from .llama.model_parameters import ModelParameters
from .media.audio import SILENCED, samples, wav
from .media.pictures import Projector, Projectors
from .media.speech import codes
from .media.vocoder import Vocoder
from .metadata.keys import Change
from .metadata.parse import Settings, Value
from .sampling.sampler import check

_log = logging.getLogger("llamaedge_host.nn")


def _unseen(data: bytes) -> None:
    """What a context prints that was not told where to."""


class GgmlGraph:
    """A loaded model and its settings: a ``backend.Graph``. Raises GgmlError."""

    def __init__(
        self,
        path: Path,
        target: Target,
        settings: Settings,
        models: Models,
        engines: Engines,
        projectors: Projectors,
        renderer: Renderer,
        preloaded: Mapping[str, Path] = MappingProxyType({}),
    ) -> None:
        self._path = path
        self._target = target
        self._models = models
        self._engines = engines
        self._engine: Engine | Embedder | None = None
        self._projectors = projectors
        self._projector: tuple[tuple[str, Model], Projector] | None = None
        self._vocoder: tuple[str, Vocoder] | None = None
        self._renderer = renderer
        self._template: tuple[tuple[str, Model], ChatTemplate] | None = None
        self._logs = False
        self.settings = settings
        self._show_log()
        try:
            self.model = models.acquire(path, settings, target)
        except BaseException:
            self._hide_log()
            raise
        self._preloaded = preloaded
        self._draft: Model | None = None
        try:
            check(settings, self.model.vocabulary)
            self._draft = self._acquire_draft(self.model, settings)
        except BaseException:
            self.close()
            raise

    def context(self, files: Files = NO_FILES, stdout: Output = _unseen) -> GgmlContext:
        """A new execution context, whose metadata names ``files`` of the guest.

        What it prints goes to ``stdout``.
        """
        return GgmlContext(self, files, stdout)

    def engine(self) -> Engine | Embedder:
        """The engine, set up when it is first asked for. Raises GgmlError if it cannot be."""
        if self._engine is None:
            self._engine = self._engines.acquire(self.model, self.settings, self._draft)
        return self._engine

    def _acquire_draft(self, model: Model, settings: Settings) -> Model | None:
        """The model that is to draft for ``model``, if any. Raises GgmlError."""
        path = draft_path(settings, self._preloaded)
        if path is None:
            return None
        draft = self._models.acquire(path, settings, self._target)
        try:
            check_draft(draft, model)
        except BaseException:
            self._models.release(draft)
            raise
        return draft

    @property
    def parallel(self) -> int:
        """Contexts that compute at once, or by turns; further ones wait."""
        return self._engine.concurrent if isinstance(self._engine, Engine) else 1

    @property
    def cells(self) -> int:
        """Tokens that a sequence can hold, as the settings ask until there is an engine."""
        if self._engine is not None:
            return self._engine.cells
        return int(self.settings["ctx-size"] or self.model.context_length)

    def template(self, given: str) -> ChatTemplate:
        """The chat template ``given``, "" for the model's own. Raises GgmlError if it has none."""
        if self._template is None or self._template[0] != (given, self.model):
            found = {DEFAULT: given} if given else sources(self.model.header.metadata)
            if not found:
                raise NoTemplate(
                    NnErrno.INVALID_ARGUMENT, f"{self._path.name} has no chat template ({KEY})"
                )
            made = ChatTemplate(found, self.model.vocabulary, self._renderer)
            self._template = (given, self.model), made
        return self._template[1]

    def projector(self, path: str) -> Projector:
        """The projector at ``path``, which metadata names by ``mmproj``. Raises GgmlError."""
        if not path:
            raise GgmlError(
                NnErrno.INVALID_ARGUMENT,
                "pictures need a projector, and metadata names none (mmproj)",
            )
        if self._projector is None or self._projector[0] != (path, self.model):
            threads = min(max(self.settings["threads"], 0) or cpus(), cpus())
            found = self._projectors.get(Path(path), self.model, threads, gpu=self._on_gpu)
            self._projector = (path, self.model), found
        return self._projector[1]

    @property
    def _on_gpu(self) -> bool:
        return self._target != Target.CPU

    def speech(self, tokens: list[int], vocoder: str) -> bytes:
        """The codes among ``tokens`` as a WAV file. Blocks. Raises GgmlError."""
        spoken = codes(map(self.model.vocabulary.piece, tokens))
        sound = samples(self.vocoder(vocoder).spectra(spoken))
        sound[:SILENCED] = 0
        return wav(sound)

    def vocoder(self, path: str) -> Vocoder:
        """The vocoder at ``path``, which metadata names by ``model-vocoder``. Raises GgmlError."""
        if not path:
            raise GgmlError(
                NnErrno.INVALID_ARGUMENT,
                "speech needs a vocoder, and metadata names none (model-vocoder)",
            )
        if self._vocoder is None or self._vocoder[0] != path:
            self._vocoder = path, self._engines.vocoder(Path(path), gpu=self._on_gpu)
        return self._vocoder[1]

    def change(self, changes: Mapping[str, Value]) -> None:
        """Change settings, and set up again what they ask for; all or nothing.

        Raises GgmlError for settings that cannot be used, and then nothing has changed.
        """
        settings = self.settings.with_changes(changes)
        asked = self.settings.differences(settings)
        if not asked:
            return
        ModelParameters.of(settings, self._target, self.model.layers)
        ContextParameters.of(settings, self.model, 1)
        if Change.RELOAD in asked:
            model = self._models.acquire(self._path, settings, self._target)
            try:
                self._recreate(model, settings)
            except BaseException:
                self._models.release(model)
                raise
            self.model, model = model, self.model
            self._models.release(model)
        elif Change.RECREATE in asked:
            self._recreate(self.model, settings)
        self.settings = settings
        self._show_log()

    def _recreate(self, model: Model, settings: Settings) -> None:
        """Take another engine in the place of one that has been set up already."""
        draft = self._acquire_draft(model, settings)
        try:
            if self._engine is not None:
                engine = self._engines.acquire(model, settings, draft)
                self._engine, engine = engine, self._engine
                self._engines.release(engine)
        except BaseException:
            self._release_draft(draft)
            raise
        self._draft, draft = draft, self._draft
        self._release_draft(draft)

    def _release_draft(self, draft: Model | None) -> None:
        if draft is not None:
            self._models.release(draft)

    def debug(self, text: str) -> None:
        """Log ``text`` if enable-debug-log asks for it."""
        if self.settings["enable-debug-log"]:
            _log.info("[WASI-NN] GGML backend: %s", text)

    def info(self, text: str) -> None:
        """Log ``text`` if enable-log asks for it."""
        if self.settings["enable-log"]:
            _log.info("[WASI-NN] GGML backend: %s", text)

    def _show_log(self) -> None:
        if self.settings["enable-log"] != self._logs:
            self._logs = not self._logs
            logging_to(self._logs)

    def _hide_log(self) -> None:
        if self._logs:
            self._logs = False
            logging_to(False)

    def close(self) -> None:
        """Give the engine and the model back."""
        if self._engine is not None:
            self._engines.release(self._engine)
            self._engine = None
        self._projector = self._vocoder = None
        self._release_draft(self._draft)
        self._models.release(self.model)
        self._hide_log()
