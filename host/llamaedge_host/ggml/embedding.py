"""Embeddings: a llama context that pools, and how WasmEdge normalises and writes its vectors.

Source: llama.cpp's common_embd_normalize, WasmEdge's getEmbedding.
"""

import threading

import numpy as np
import numpy.typing as npt

from ..nn.errno import ErrNo
from .counters import Counters
from .library import GgmlError, last_error, llama
from .llama_context import ContextParameters, LlamaContext
from .model import Model

LARGEST = 32760.0
"""What the largest element becomes with embd-normalize 0."""
_NONE, _LARGEST, _EUCLIDEAN = -1, 0, 2

Vector = npt.NDArray[np.float32]


class Embedder:
    """Computes embeddings on ``model``, one input at a time. Safe to use from any thread."""

    def __init__(self, model: Model, parameters: ContextParameters) -> None:
        self.model = model
        self.counters = Counters()
        self._context = LlamaContext(model, parameters)
        self.cells = self._context.cells
        self.room = self._context.room
        self._lock = threading.Lock()

    def embed(self, tokens: list[int]) -> Vector:
        """The pooled vector of ``tokens``: of n_embd values, or one score by rank pooling.

        Without pooling, the last token's vector. Raises GgmlError if it cannot be computed.
        """
        with self._lock:
            context = self._context
            rows = context.put(0, tokens, 0, 0, True)
            context.want_all(rows)
            result = context.decode(rows)
            try:
                if result:
                    reason = last_error(f"llama_decode answered {result}")
                    raise GgmlError(ErrNo.RUNTIME_ERROR, f"getEmbedding: {reason}")
                self.counters.prompt_tokens_evaluated += rows
                self.counters.sequences_ended += 1
                return self._vector(rows)
            finally:
                context.keep(0, 0)

    def _vector(self, rows: int) -> Vector:
        pointer = self._context.pointer
        size = llama.llama_model_n_embd_out(self.model.pointer)
        if self._context.pooling == llama.LLAMA_POOLING_TYPE_NONE:
            values = llama.llama_get_embeddings_ith(pointer, rows - 1)
        else:
            values = llama.llama_get_embeddings_seq(pointer, 0)
            if self._context.pooling == llama.LLAMA_POOLING_TYPE_RANK:
                size = llama.llama_model_n_cls_out(self.model.pointer)
        if not values:
            raise GgmlError(ErrNo.RUNTIME_ERROR, "getEmbedding: the model gives no embedding")
        return np.array(np.ctypeslib.as_array(values, (size,)), dtype=np.float32)

    def close(self) -> None:
        """Free the context."""
        with self._lock:
            self._context.close()


def normalized(vector: Vector, how: int) -> Vector:
    """``vector`` normalised: -1 not at all, 0 to a largest element of 32760, p by its p-norm."""
    wide = vector.astype(np.float64)
    if how == _NONE:
        norm = 1.0
    elif how == _LARGEST:
        norm = float(np.max(np.abs(wide))) / LARGEST
    elif how == _EUCLIDEAN:
        norm = float(np.sqrt(np.sum(wide * wide)))
    else:
        norm = float(np.sum(np.abs(wide) ** how) ** (1.0 / how))
    scale = np.float32(1.0 / norm) if norm > 0.0 else np.float32(0.0)
    return vector * scale


def as_json(vector: Vector) -> bytes:
    """``vector`` as guests read it, each value with 10 significant digits."""
    values = ",".join(f"{float(value):.10g}" for value in vector)
    return f'{{"n_embedding": {len(vector)}, "embedding": [{values}]}}'.encode()
