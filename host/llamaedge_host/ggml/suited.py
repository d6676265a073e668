"""What suits a model on this machine, before it is loaded, and what memory it then takes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..nn.preload import Target
from .engine.engines import Engines
from .llama.capacity import Free, layers_on_gpu, swap_bytes
from .llama.draft import check as check_draft
from .llama.model import Model, Models, check_room
from .llama.model_parameters import ModelParameters
from .llama.needs import Needs
from .metadata.parse import Settings, Value

BATCH, GPU_BATCH, MICRO_BATCH = 512, 2048, 512
"""Tokens of a batch on the CPU, on a GPU, and those computed at once."""
EMBEDDING_BATCH = 8192
"""Tokens of the longest input of an embedding model, whose batch is computed in one piece."""


@dataclass(frozen=True)
class Suited:
    """``settings`` are metadata: what was given, and for the rest what suits.

    The types of the cache are among them if they had to be others than anybody asked for.
    ``layers`` are the model's, ``gpu_layers`` those of them on the GPU; ``trained`` is the
    context that it was trained with, in tokens; ``swap`` is what swapped caches may take in bytes.
    """

    settings: Mapping[str, Value]
    parallel: int
    layers: int
    gpu_layers: int
    trained: int
    needs: Needs
    swap: int


def suit(
    models: Models,
    engines: Engines,
    path: Path,
    target: Target,
    given: Mapping[str, Value],
    beside: Sequence[Needs],
    sharing: int,
    draft: Path | None = None,
) -> Suited:
    """What suits the model at ``path`` where ``given``, metadata, leaves it open.

    ``beside`` it will be others, and ``sharing`` models start at a time. The model at ``draft``
    drafts for it. Raises GgmlError for what does not fit, and for what ``acquire`` refuses.
    """
    settings = Settings().with_changes(given)
    compared = draft is not None
    with closing(models.hollow(path, settings, target, vocabulary=compared)) as found:
        gpu_layers = 0
        if found.parameters.gpu_layers:
            adapters = engines.adapters_needed(found, settings)
            gpu_layers = layers_on_gpu(found, settings, Free.now(found, (*beside, adapters)))
        layers: Settings = settings.with_changes({"n-gpu-layers": gpu_layers} | dict(given))
        if ModelParameters.of(layers, target, found.layers) == found.parameters:
            with _drafting(models, draft, found, layers, target) as small:
                return _suit(found, engines, layers, given, beside, sharing, small)
    with (
        closing(models.hollow(path, layers, target, vocabulary=compared)) as hollow,
        _drafting(models, draft, hollow, layers, target) as small,
    ):
        return _suit(hollow, engines, layers, given, beside, sharing, small)


@contextmanager
def _drafting(
    models: Models, path: Path | None, model: Model, settings: Settings, target: Target
) -> Iterator[Model | None]:
    """The model at ``path`` without its weights, which can draft for ``model``; None for none."""
    if path is None:
        yield None
        return
    with closing(models.hollow(path, settings, target)) as draft:
        check_draft(draft, model)
        check_room(draft.path, draft.header, draft.parameters)
        yield draft


def _suit(
    hollow: Model,
    engines: Engines,
    settings: Settings,
    given: Mapping[str, Value],
    beside: Sequence[Needs],
    sharing: int,
    draft: Model | None,
) -> Suited:
    check_room(hollow.path, hollow.header, hollow.parameters)
    settings = settings.with_changes(_batches(settings, given, hollow.parameters))
    sizing = engines.suited(hollow, settings, beside, sharing, draft)
    made = sizing.parameters
    chosen: dict[str, Value] = {
        "ctx-size": made.cells,
        "batch-size": made.batch,
        "ubatch-size": made.micro_batch,
        "threads": made.threads[0],
        "n-gpu-layers": settings["n-gpu-layers"],
    }
    if made.cache_types != (settings["cache-type-k"], settings["cache-type-v"]):
        chosen |= sizing.told
    return Suited(
        chosen | {key: value for key, value in given.items() if key in chosen and value},
        made.parallel,
        hollow.layers,
        min(hollow.parameters.on_gpu(hollow.layers), hollow.layers),
        hollow.context_length,
        sizing.whole,
        0 if made.embeddings else swap_bytes(sizing),
    )


def _batches(
    settings: Settings, given: Mapping[str, Value], parameters: ModelParameters
) -> dict[str, Value]:
    batch = EMBEDDING_BATCH if settings["embedding"] else BATCH
    if parameters.gpu_layers and not settings["embedding"]:
        batch = GPU_BATCH
    micro = batch if settings["embedding"] else MICRO_BATCH
    if "ubatch-size" in given:
        batch = max(batch, settings["ubatch-size"])
    if "batch-size" in given:
        batch = settings["batch-size"]
    chosen: dict[str, Value] = {"batch-size": batch, "ubatch-size": min(micro, batch)}
    return {key: value for key, value in chosen.items() if key not in given}
