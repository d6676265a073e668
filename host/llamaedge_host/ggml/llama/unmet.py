"""What was asked for and is not obeyed to the letter, in a line each."""

from collections.abc import Iterator

from ..metadata.parse import DEFAULTS, Settings
from .context import ContextParameters, made_types
from .library import cpus
from .memory import gpu_free
from .model import Model

_OF_GPUS = ("n-gpu-layers", "main-gpu", "split-mode", "tensor-split", "cpu-moe", "n-cpu-moe")


def unmet(settings: Settings, model: Model, made: ContextParameters) -> Iterator[str]:
    """Of ``settings`` on ``model``, those that ``made`` is not, and why."""
    yield from _context(settings, model, made)
    yield from _threads(settings)
    yield from _gpus(settings, model)


def _context(settings: Settings, model: Model, made: ContextParameters) -> Iterator[str]:
    own, scaled = model.context_length, _is_scaled(settings)
    if made.cells > own and not scaled:
        yield (
            f"ctx-size {made.cells} is more than the {own} tokens that the model was trained"
            " with; what lies past them is likely to make no sense"
        )
    if not settings["ctx-size"] and made.cells < own:
        yield (
            f"the context is {made.cells} tokens of the model's {own}, as many as memory allows"
            " (ctx-size asks for more)"
        )
    types = made_types(settings["cache-type-k"], settings["cache-type-v"])
    if made_types(*made.cache_types) != types:
        yield (
            f"the KV cache is of {made.types_shown}, since one of f16 for ctx-size {made.cells}"
            " does not fit into memory (cache-type-k and cache-type-v ask for another)"
        )
    yield from _changed(settings, "batch-size", made.batch, "the context")
    why = "all of a batch is computed at once" if made.micro_batch == made.batch else ""
    yield from _changed(settings, "ubatch-size", made.micro_batch, why or "the batch-size")


def _is_scaled(settings: Settings) -> bool:
    keys = ("rope-scaling-type", "rope-freq-base", "rope-freq-scale", "yarn-ext-factor")
    return any(settings[key] != DEFAULTS[key] for key in keys)


def _threads(settings: Settings) -> Iterator[str]:
    for key in "threads", "threads-batch":
        if settings[key] > cpus():
            yield f"{key} {settings[key]} becomes {cpus()}: no more CPUs may be used here"


def _changed(settings: Settings, key: str, made: int, why: str) -> Iterator[str]:
    if settings[key] not in (made, DEFAULTS[key]):
        yield f"{key} {settings[key]} becomes {made}: {why}"


def _gpus(settings: Settings, model: Model) -> Iterator[str]:
    asked = [key for key in _OF_GPUS if settings[key] != DEFAULTS[key]]
    if settings["n-gpu-layers"] == 0:
        asked = [key for key in asked if key != "n-gpu-layers"]
    if asked and gpu_free(None) is None:
        named = ", ".join(f"{key} {settings[key]}" for key in asked)
        yield f"{named}: there is no GPU that llama.cpp can use here, and the CPU computes"
    elif asked and not model.parameters.gpu_layers:
        named = ", ".join(f"{key} {settings[key]}" for key in asked)
        yield f"{named}: the model is to be computed by the CPU (--nn-preload, n-gpu-layers)"
