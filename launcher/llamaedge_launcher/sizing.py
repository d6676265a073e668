"""What a worker's guests are told of context, batch, threads and layers where nobody asked.

A guest has defaults of its own, which know neither the model nor the machine. So the command line
that it gets says what was chosen.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from llamaedge_host import Encoding, NeuralNetwork, PreloadError
from llamaedge_host.ggml.backend import GgmlBackend
from llamaedge_host.ggml.llama.context import CACHE_TYPES
from llamaedge_host.ggml.llama.memory import available_memory, gpu_free
from llamaedge_host.ggml.llama.needs import Need, Needs
from llamaedge_host.ggml.llama.zeroing import ON_USE
from llamaedge_host.ggml.metadata.parse import Value
from llamaedge_host.ggml.suited import Suited
from llamaedge_host.nn.backend import BackendError

from .control import ModelSize, Sized

OF_EACH_MODEL = ("ctx-size", "batch-size", "ubatch-size")
OF_ALL_MODELS = ("threads", "n-gpu-layers")
"""Options of the server that are chosen: also the names of their metadata keys."""
_MARKS = {"threads": (b"hreads to use", b"hreads to compute")}
"""What the help says of an option whose name is everywhere."""
_WORDS = ("split-mode", "tensor-split")
_NUMBERS = (*OF_ALL_MODELS, "main-gpu", "threads-batch")
_TYPES = ("cache-type-k", "cache-type-v")
_EMBEDDING = "embedding"


def suited(
    args: Sequence[str], guest: Path, network: NeuralNetwork, *, sharing: int = 1
) -> tuple[tuple[str, ...], Sized]:
    """The guest's arguments, completed, and what each of its models will take.

    So many workers are ``sharing`` what is free. Raises PreloadError for a model that does not fit.
    """
    given = _given(args)
    free = available_memory() + (gpu_free(None) or 0)
    models: list[ModelSize] = []
    chosen: dict[str, list[str]] = {}
    beside = [_beside(given.get(name, "")) for name in ("llava-mmproj", "model-vocoder")]
    templates = given.get("prompt-template", "auto").split(",")
    aliases = given.get("model-alias", "default,embedding").split(",")
    common: dict[str, Value] = {}
    for index, (alias, template) in enumerate(zip(aliases, templates, strict=False)):
        preload = network.preloads.get(alias)
        if preload is None or preload.encoding != Encoding.GGML:
            continue
        metadata = _metadata(given, index) | common | {"embedding": template == _EMBEDDING}
        backend = network.backend(preload.encoding)
        assert isinstance(backend, GgmlBackend)
        try:
            found = backend.suited(preload.path, preload.target, metadata, beside, sharing=sharing)
        except BackendError as error:
            raise PreloadError(f"model {alias!r}: {error}") from error
        beside.append(found.needs)
        models.append(_size(alias, found))
        common |= {name: found.settings[name] for name in OF_ALL_MODELS}
        common |= {name: found.settings[name] for name in _TYPES if name in found.settings}
        for name in OF_EACH_MODEL:
            chosen.setdefault(name, []).append(str(found.settings[name]))
    chosen |= {name: [_word(name, value)] for name, value in common.items()}
    return _completed(args, given, chosen, guest), Sized(tuple(models), free)


def _given(args: Sequence[str]) -> dict[str, str]:
    """The options among ``args`` by their names."""
    pairs = (each[2:].partition("=") for each in args if each.startswith("--"))
    return {name: value for name, _, value in pairs}


def _metadata(given: Mapping[str, str], index: int) -> dict[str, Value]:
    """What was given that a model's needs depend on; 0 tokens are the model's own context."""
    found: dict[str, Value] = {name: given[name] for name in _WORDS if name in given}
    found |= {name: int(given[name]) for name in _NUMBERS if name in given}
    found |= {name: CACHE_TYPES[given[name]] for name in _TYPES if name in given}
    for name in OF_EACH_MODEL:
        parts = given.get(name, "").split(",")
        if index < len(parts) and parts[index].strip("0"):
            found[name] = int(parts[index])
    if "draft-model" in given:
        found["model-draft"] = given["draft-model"]
    if "no-mmap" in given:
        found["use-mmap"] = given["no-mmap"] != "true"
    return found


def _word(name: str, value: Value) -> str:
    """The ``value`` of a metadata key as the option of the same ``name`` has it."""
    if name not in _TYPES:
        return str(value)
    return next(kind for kind, number in CACHE_TYPES.items() if number == value)


def _beside(path: str) -> Needs:
    """What a projector or a vocoder takes that is loaded when it is first used."""
    size = Path(path).stat().st_size if path else 0
    there = gpu_free(None) is not None
    return Needs(Need(0 if there else size), Need(size if there else 0))


def _size(alias: str, found: Suited) -> ModelSize:
    settings, needs = found.settings, found.needs
    return ModelSize(
        name=alias,
        context=int(settings["ctx-size"]),
        trained=found.trained,
        parallel=found.parallel,
        threads=int(settings["threads"]),
        layers=found.layers,
        gpu_layers=found.gpu_layers,
        weights=needs.whole.weights,
        cache=needs.whole.cache,
        buffers=needs.whole.buffers,
        on_gpu=needs.there.total,
        on_use=ON_USE and not needs.there.cache,
        smaller=_TYPES[0] in settings,
    )


def _knows(module: bytes, option: str) -> bool:
    """Whether a guest's file speaks of ``option``: every file has threads, but not all take any."""
    return any(mark in module for mark in _MARKS.get(option, (option.encode(),)))


def _completed(
    args: Sequence[str], given: Mapping[str, str], chosen: Mapping[str, list[str]], guest: Path
) -> tuple[str, ...]:
    """``args`` with those options of ``chosen`` that ``guest`` knows, as its file tells."""
    try:
        module = guest.read_bytes()
    except OSError:  # which its start tells
        return tuple(args)
    told = {
        name: f"--{name}={','.join(values)}"
        for name, values in chosen.items()
        if _knows(module, name) and not (name in given and name in OF_ALL_MODELS)
    }
    kept = [each for each in args if each[2:].partition("=")[0] not in told]
    return (*kept, *told.values())
