"""What a model is loaded with: what is asked for, and llama.cpp's own parameters for that."""

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path

from ...nn.errno import NnErrno
from ...nn.preload import Target
from ..errors import GgmlError
from ..metadata.parse import Settings
from . import amx
from .gguf import TOKENS, Gguf
from .library import forget_errors, ggml, llama
from .openmp import end_team

ALL_LAYERS = -1
_SPLIT_MODES = {"none": 0, "layer": 1, "row": 2}
_LOAD_MODES = {
    (False, False): llama.LLAMA_LOAD_MODE_NONE,
    (True, False): llama.LLAMA_LOAD_MODE_MMAP,
    (False, True): llama.LLAMA_LOAD_MODE_MLOCK,
    (True, True): llama.LLAMA_LOAD_MODE_MMAP_MLOCK,
}


class _BufferOverride(ctypes.Structure):
    """llama_model_tensor_buft_override: tensors whose name matches go to a buffer type."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p))


@dataclass(frozen=True)
class ModelParameters:
    """What makes a loaded model another one than the same file's with other parameters."""

    gpu_layers: int
    main_gpu: int = 0
    split_mode: str = "layer"
    tensor_split: tuple[float, ...] = ()
    cpu_experts: int = 0
    mmap: bool = True
    mlock: bool = False
    check_tensors: bool = False

    def on_gpu(self, layers: int) -> int:
        """How many of ``layers`` layers, and the output as one more, are on the GPU."""
        return layers + 1 if self.gpu_layers == ALL_LAYERS else self.gpu_layers

    @property
    def only_gpu(self) -> int | None:
        """The one GPU that is used, None for all."""
        return self.main_gpu if self.split_mode == "none" else None

    @classmethod
    def of(cls, settings: Settings, target: Target, layers: int) -> "ModelParameters":
        """What ``settings`` ask for, on ``target``, of a model with ``layers`` layers."""
        shares = _shares(settings["tensor-split"])
        memory = (settings["use-mmap"], settings["use-mlock"], settings["check-tensors"])
        if target == Target.CPU or not llama.llama_supports_gpu_offload():
            return cls(0, mmap=memory[0], mlock=memory[1], check_tensors=memory[2])
        wanted = settings["n-gpu-layers"]
        return cls(
            ALL_LAYERS if wanted < 0 or wanted > layers else wanted,
            settings["main-gpu"],
            settings["split-mode"],
            shares,
            layers if settings["cpu-moe"] else min(settings["n-cpu-moe"], layers),
            *memory,
        )


def _shares(text: str) -> tuple[float, ...]:
    """The numbers of ``text``: 3,2 as WasmEdge has it, 3/2 as llama.cpp, 3:2 as LlamaEdge."""
    try:
        shares = tuple(float(part) for part in re.split("[,/: ]+", text.strip()) if part)
    except ValueError:
        shares = (-1.0,)
    if len(shares) > llama.LLAMA_MAX_DEVICES or any(not 0 <= share < 1e9 for share in shares):
        raise GgmlError(
            NnErrno.INVALID_ARGUMENT,
            f"the option tensor-split cannot be used: {text!r:.60} is not a list of at most"
            f" {llama.LLAMA_MAX_DEVICES} shares",
        )
    return shares


def load(
    path: Path, header: Gguf, parameters: ModelParameters, *, hollow: bool, vocabulary: bool
) -> ctypes.c_void_p | None:
    """The model at ``path``, without its weights if it is ``hollow``; None where that fails.

    Why it fails is first_error(). Without ``vocabulary`` its tokens have no texts.
    """
    asked = llama.llama_model_default_params()
    asked.n_gpu_layers = parameters.gpu_layers
    asked.main_gpu = parameters.main_gpu
    asked.split_mode = _SPLIT_MODES[parameters.split_mode]
    asked.load_mode = _LOAD_MODES[parameters.mmap, parameters.mlock]
    asked.check_tensors = parameters.check_tensors
    asked.use_extra_bufts = amx.works()
    if hollow:
        asked.no_alloc, asked.load_mode = True, llama.LLAMA_LOAD_MODE_NONE
    if parameters.tensor_split:
        shares = (ctypes.c_float * llama.LLAMA_MAX_DEVICES)(*parameters.tensor_split)
        asked.tensor_split = ctypes.cast(shares, ctypes.POINTER(ctypes.c_float))
    overrides = _experts_on_cpu(parameters.cpu_experts)
    if overrides is not None:
        asked.tensor_buft_overrides = ctypes.addressof(overrides)
    file = str(path).encode()
    pointer: ctypes.c_void_p | None = None
    if not vocabulary:
        asked.kv_overrides = _without_vocabulary(header)
        pointer = llama.llama_model_load_from_file(file, asked)
        asked.kv_overrides = None
    if not pointer:  # what is wrong is told of the file as it is
        forget_errors()
        pointer = llama.llama_model_load_from_file(file, asked)
    end_team()
    return pointer


def _without_vocabulary(header: Gguf) -> "ctypes.Array[ctypes.Structure]":
    """Metadata in the place of the file's own, for as many tokens that are not read."""
    overrides: ctypes.Array[ctypes.Structure] = (llama.llama_model_kv_override * 3)()
    kind, size, _ = overrides
    kind.tag, kind.key = llama.LLAMA_KV_OVERRIDE_TYPE_STR, b"tokenizer.ggml.model"
    kind.value.val_str = b"none"
    size.tag = llama.LLAMA_KV_OVERRIDE_TYPE_INT
    size.key = f"{header.architecture}.vocab_size".encode()
    size.value.val_i64 = header.lengths.get(TOKENS, 0)
    return overrides


def _experts_on_cpu(layers: int) -> "ctypes.Array[_BufferOverride] | None":
    if not layers:
        return None
    ggml.ggml_backend_cpu_buffer_type.restype = ctypes.c_void_p
    cpu = ggml.ggml_backend_cpu_buffer_type()
    patterns = (rf"blk\.{layer}\.ffn_(up|down|gate)_exps".encode() for layer in range(layers))
    rows = (_BufferOverride(pattern, cpu) for pattern in patterns)
    return (_BufferOverride * (layers + 1))(*rows, _BufferOverride(None, None))
