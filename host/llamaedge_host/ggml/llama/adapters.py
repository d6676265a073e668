"""LoRA adapters: small changes of a model's weights, each with a scale.

Source: llama.cpp's llama_adapter_lora_init and llama_set_adapters_lora. A context computes with one
set of scales at a time.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...nn.errno import NnErrno
from ..errors import GgmlError
from . import gguf
from .library import first_error, forget_errors, llama
from .model import Model

Scales = tuple[float, ...]
"""The scale of each adapter of a model; 0 is without it."""


@dataclass(frozen=True)
class AdapterFile:
    """An adapter, and its ``scale`` where nobody says another."""

    path: Path
    scale: float = 1.0


class Adapters:
    """The adapters of ``files`` for ``model``, which frees them. Raises GgmlError."""

    def __init__(self, files: Sequence[AdapterFile], model: Model) -> None:
        self.files = tuple(files)
        self.scales: Scales = tuple(each.scale for each in files)
        """What is computed with where nobody says other scales."""
        kept = model.adapters
        for each in files:
            if each.path not in kept:
                kept[each.path] = _load(each.path, model)
        pointers = [kept[each.path] for each in files]
        self._pointers = (llama.llama_adapter_lora_p_ctypes * len(pointers))(*pointers)
        self._applied: Scales = (0.0,) * len(pointers)

    def asked(self, text: str) -> Scales:
        """The scales that JSON ``text`` says, an array of objects with ``id`` and ``scale``.

        What it does not name is not used; "" stands for those of the server. Raises GgmlError.
        """
        if not text:
            return self.scales
        try:
            return self.of(json.loads(text))
        except ValueError as error:
            raise _wrong(f"it is no JSON: {error}") from None

    def of(self, pairs: object) -> Scales:
        """The same of what the JSON says."""
        if not isinstance(pairs, list):
            raise _wrong("it must be an array of objects with id and scale")
        scales = [0.0] * len(self.files)
        for each in pairs:
            number = each.get("id") if isinstance(each, dict) else None
            scale = each.get("scale") if isinstance(each, dict) else None
            if type(number) is not int or not 0 <= number < len(scales):
                have = f"there are {len(scales)}, from 0 on" if scales else "there is none"
                raise _wrong(f"{each!r:.60} names no adapter; {have} (--lora)")
            if isinstance(scale, bool) or not isinstance(scale, int | float):
                raise _wrong(f"the scale of adapter {number} must be a number")
            scales[number] = float(scale)
            if not math.isfinite(scales[number]):
                raise _wrong(f"the scale of adapter {number} must be finite")
        return tuple(scales)

    def apply(self, pointer: object, scales: Scales) -> None:
        """Let the context at ``pointer`` compute with ``scales``. Raises GgmlError."""
        if scales == self._applied:
            return
        used = [index for index, scale in enumerate(scales) if scale]
        pointers = (llama.llama_adapter_lora_p_ctypes * len(used))(
            *(self._pointers[index] for index in used)
        )
        values = (llama.ctypes.c_float * len(used))(*(scales[index] for index in used))
        if llama.llama_set_adapters_lora(pointer, pointers, len(used), values):
            raise GgmlError(NnErrno.RUNTIME_ERROR, "llama.cpp refuses the adapters")
        self._applied = scales


def read(path: Path, model: Model) -> gguf.Gguf:
    """The header of the adapter at ``path``. Raises GgmlError if it is none for ``model``."""
    try:
        header = gguf.read(path)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    except gguf.GgufError as error:
        raise _unusable(path, str(error)) from None
    if header.metadata.get("general.type") != "adapter":
        raise _unusable(path, "it is no adapter, as its general.type says")
    if header.architecture != model.header.architecture:
        ours = model.header.architecture
        raise _unusable(path, f"it is for {header.architecture} models, and this one is {ours}")
    return header


def _load(path: Path, model: Model) -> object:
    read(path, model)
    forget_errors()
    pointer = llama.llama_adapter_lora_init(model.pointer, str(path).encode())
    if not pointer:
        raise _unusable(path, first_error("llama.cpp does not say why"))
    if llama.llama_adapter_get_alora_n_invocation_tokens(pointer):
        raise _unusable(path, "it begins at tokens of its own (aLoRA), which is not supported")
    return pointer


def _unusable(path: Path, why: str) -> GgmlError:
    return GgmlError(NnErrno.INVALID_ARGUMENT, f"--lora: {path} cannot be used: {why}")


def _wrong(why: str) -> GgmlError:
    return GgmlError(NnErrno.INVALID_ARGUMENT, f"lora: {why}")
