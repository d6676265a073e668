"""Models: loaded once per process for one file and one set of parameters."""

import logging
import threading
import time
from dataclasses import replace
from pathlib import Path

from ...nn.errno import NnErrno
from ...nn.preload import Target
from ..errors import GgmlError
from ..metadata.parse import Settings
from . import gguf, split
from .huge_pages import HugePages, mappings
from .library import build, first_error, llama
from .memory import all_here, gpu_count, gpu_free, lacking, shown, weights
from .model_parameters import ModelParameters, load
from .pages import buffers
from .vocabulary import Vocabulary

_log = logging.getLogger("llamaedge_host.nn")

_Identity = tuple[int, ...]


class Model:
    """A loaded model. ``release`` it once for each time it was acquired.

    A ``hollow`` one has no weights: it is good for nothing but to tell what contexts would take.
    For that it needs no ``vocabulary`` either, which takes most of the time.
    """

    vocabulary: Vocabulary

    def __init__(
        self,
        path: Path,
        header: gguf.Gguf,
        parameters: ModelParameters,
        *,
        hollow: bool = False,
        vocabulary: bool = True,
    ) -> None:
        self.path = path
        self.header = header
        self.parameters = parameters
        files = split.paths(path)
        before = mappings(files)
        with buffers() as allocated:
            self.pointer = load(path, header, parameters, hollow=hollow, vocabulary=vocabulary)
        if not self.pointer:
            raise _unusable(path, first_error("llama.cpp does not say why"))
        mapped = {at: what for at, what in mappings(files).items() if at not in before}
        self._huge_pages = HugePages(mapped, allocated)
        if vocabulary:
            try:
                self.vocabulary = Vocabulary(
                    llama.llama_model_get_vocab(self.pointer), header.named_tokens
                )
            except GgmlError:
                llama.llama_model_free(self.pointer)
                raise
        self.layers: int = llama.llama_model_n_layer(self.pointer)
        self.context_length: int = llama.llama_model_n_ctx_train(self.pointer)
        self.window: int = llama.llama_model_n_swa(self.pointer)
        self.has_encoder: bool = llama.llama_model_has_encoder(self.pointer)
        self.has_decoder: bool = llama.llama_model_has_decoder(self.pointer)
        self.has_state = bool(
            llama.llama_model_is_recurrent(self.pointer)
            or llama.llama_model_is_hybrid(self.pointer)
        )
        self.causal = header.metadata.get(f"{header.architecture}.attention.causal") is not False
        if not hollow and not parameters.mlock and not gpu_count():
            self._huge_pages.begin()
        self.users = 0
        self.adapters: dict[Path, object] = {}
        """What was loaded for it, by the files: freed with it."""

    @property
    def on_gpu(self) -> bool:
        """Whether this machine's GPUs compute all of it."""
        parameters = self.parameters
        return (
            parameters.on_gpu(self.layers) > self.layers
            and not parameters.cpu_experts
            and all_here()
        )

    def hollow(self, *, gpu_layers: int | None = None) -> "Model":
        """The same without weights and vocabulary, with so many layers on the GPU. Close it.

        Raises GgmlError.
        """
        parameters = self.parameters
        if gpu_layers is not None:
            parameters = replace(parameters, gpu_layers=gpu_layers)
        return Model(self.path, self.header, parameters, hollow=True, vocabulary=False)

    def close(self) -> None:
        """Free it."""
        self._huge_pages.end()
        llama.llama_model_free(self.pointer)


class Models:
    """The loaded models of this process. Safe to use from any thread.

    One that nothing uses is freed, but for those of files that ``keep`` named: each stays until
    the file is loaded with other parameters, so that a guest that starts again finds it.
    """

    def __init__(self) -> None:
        self._loaded: dict[tuple[_Identity, ModelParameters], Model] = {}
        self._kept: dict[_Identity, gguf.Gguf] = {}
        self._lock = threading.Lock()
        self._warned = False
        self._numa = False

    def keep(self, path: Path) -> None:
        """Check the model file at ``path``, and keep its model once it is loaded.

        Raises GgmlError as ``acquire`` does for a file that cannot be a model.
        """
        with self._lock:
            identity = _identity(path)
            self._kept[identity] = self._header(path, identity)

    def headers(self) -> list[gguf.Gguf]:
        """What the files say that ``keep`` named."""
        with self._lock:
            return list(self._kept.values())

    def close(self) -> None:
        """Keep no model any longer."""
        with self._lock:
            self._kept.clear()
            self._free_unused()

    def hollow(
        self, path: Path, settings: Settings, target: Target, *, vocabulary: bool = True
    ) -> Model:
        """The model in the file ``path`` without its weights. Close it.

        Raises GgmlError as ``acquire`` does, but not for what does not fit into memory.
        """
        with self._lock:
            header = self._header(path, _identity(path))
        parameters = ModelParameters.of(settings, target, header.integer("block_count"))
        return Model(path, header, parameters, hollow=True, vocabulary=vocabulary)

    def acquire(self, path: Path, settings: Settings, target: Target) -> Model:
        """The model in the file ``path``, loaded if it is not yet.

        Raises GgmlError: MODEL_NOT_FOUND for a file that does not exist, INVALID_ARGUMENT for
        one that is not a model llama.cpp can load.
        """
        with self._lock:
            identity = _identity(path)
            header = self._header(path, identity)
            layers = header.integer("block_count")
            parameters = ModelParameters.of(settings, target, layers)
            self._announce(target, parameters)
            if settings["numa"] and not self._numa:
                self._numa = True
                llama.llama_numa_init(settings["numa"])
            model = self._loaded.get(key := (identity, parameters))
            if model is None:
                self._free_unused(path)
                model = self._loaded[key] = self._load(path, header, parameters)
            model.users += 1
            return model

    def _load(self, path: Path, header: gguf.Gguf, parameters: ModelParameters) -> Model:
        started = time.monotonic()
        _check_gpus(path, parameters)
        check_room(path, header, parameters)
        _log.info("[WASI-NN] GGML backend: loading %s", path)
        model = Model(path, header, parameters)
        on_gpu = min(parameters.on_gpu(model.layers), model.layers)
        _log.info(
            "[WASI-NN] GGML backend: %s: %s, %s, %d of %d layers on the GPU, loaded in %.1f s",
            path.name,
            build(),
            "GPU" if on_gpu else "CPU",
            on_gpu,
            model.layers,
            time.monotonic() - started,
        )
        return model

    def release(self, model: Model) -> None:
        """One user less; the last one frees the model if it need not stay."""
        with self._lock:
            model.users -= 1
            self._free_unused()

    def _free_unused(self, replaced: Path | None = None) -> None:
        """Free the models that nothing uses and that need not stay.

        None of the file ``replaced`` need, nor one beside another of the same file.
        """
        for key, model in list(self._loaded.items()):
            same = [identity for identity, _ in self._loaded if identity == key[0]]
            stays = key[0] in self._kept and len(same) == 1 and model.path != replaced
            if not model.users and not stays:
                del self._loaded[key]
                model.close()

    def _header(self, path: Path, identity: _Identity) -> gguf.Gguf:
        if identity in self._kept:
            return self._kept[identity]
        for (known, _), model in self._loaded.items():
            if known == identity:
                return model.header
        return _inspect(path)

    def _announce(self, target: Target, parameters: ModelParameters) -> None:
        if target in (Target.GPU, Target.TPU) and not parameters.gpu_layers and not self._warned:
            self._warned = True
            _log.warning(
                "[WASI-NN] GGML backend: %s was asked for, but this build of llama.cpp has none;"
                " the CPU computes",
                target.name,
            )


def _identity(path: Path) -> _Identity:
    """What tells the file at ``path`` from any other, and from itself when it is changed."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise GgmlError(NnErrno.MODEL_NOT_FOUND, f"model file not found: {path}") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _inspect(path: Path) -> gguf.Gguf:
    """The header of the model at ``path``, with the tensors of all its files."""
    header = _read(path)
    if header.metadata.get(gguf.SPLIT_COUNT) in (None, 0, 1):
        return header
    first, *others = split.paths(path)
    if path != first:
        raise _unusable(path, f"it is not the first of its files; name {first}")
    for other in others:
        header.tensors += _read(other).tensors
    return header


def _read(path: Path) -> gguf.Gguf:
    try:
        return gguf.read(path)
    except OSError as error:
        raise _unreadable(path, error) from None
    except gguf.GgufError as error:
        raise _unusable(path, str(error)) from None


def check_room(path: Path, header: gguf.Gguf, parameters: ModelParameters) -> None:
    """Refuse a model whose weights take more memory than is free, before they are read."""
    layers, experts = parameters.on_gpu(header.integer("block_count")), parameters.cpu_experts
    free = gpu_free(parameters.only_gpu) if layers else None
    here, there = weights(header, 0 if free is None else layers, experts)
    if free is not None and there > free:
        fitting = max(each for each in range(layers) if weights(header, each, experts)[1] <= free)
        raise _unusable(
            path,
            f"{layers} layers on the GPU take {shown(there)},"
            f" and {shown(free)} are free there; {fitting} layers fit (n-gpu-layers)",
        )
    if why := lacking(here, gpu=False):
        raise _unusable(path, f"{why}; a smaller model fits, or one of fewer bits")


def _check_gpus(path: Path, parameters: ModelParameters) -> None:
    """Refuse GPUs that are not there."""
    count = gpu_count()
    if not count or not parameters.gpu_layers:
        return
    if parameters.main_gpu >= count:
        raise _unusable(path, f"main-gpu is {parameters.main_gpu}, and there {_gpus(count)}")
    if len(parameters.tensor_split) > count:
        shares = ",".join(f"{share:g}" for share in parameters.tensor_split)
        raise _unusable(path, f"tensor-split is {shares}, and there {_gpus(count)}")


def _gpus(count: int) -> str:
    return "is 1 GPU, number 0" if count == 1 else f"are {count} GPUs, numbers 0 to {count - 1}"


def _unreadable(path: Path, error: OSError) -> GgmlError:
    return GgmlError(NnErrno.INVALID_ARGUMENT, f"the model {path} cannot be read: {error.strerror}")


def _unusable(path: Path, why: str) -> GgmlError:
    return GgmlError(NnErrno.INVALID_ARGUMENT, f"the model {path} cannot be loaded: {why}")
