"""Embeddings: a llama context that pools, and how WasmEdge normalises and writes its vectors.

Source: llama.cpp's common_embd_normalize, WasmEdge's getEmbedding.
"""

import time
from collections import deque
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from ...nn.errno import ErrNo
from ..errors import GgmlError
from ..llama.compute import ComputeThread
from ..llama.context import ContextParameters, LlamaContext
from ..llama.library import first_error, forget_errors, llama
from ..llama.model import Model
from .counters import Counters

LARGEST = 32760.0
"""What the largest element becomes with embd-normalize 0."""
_NONE, _LARGEST, _EUCLIDEAN = -1, 0, 2

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Input:
    tokens: list[int]
    answer: SimpleQueue[Vector | GgmlError]


class Embedder:
    """Computes embeddings on ``model``, of several inputs in a batch: a ``compute.Worker``.

    ``embed`` and ``close`` may be called from any thread.
    """

    def __init__(self, model: Model, parameters: ContextParameters, thread: ComputeThread) -> None:
        self.model = model
        self.counters = Counters()
        self._context = LlamaContext(model, parameters)
        self.cells = self._context.cells
        self.room = min(parameters.batch, self._context.room, self.cells)
        self.scores = self._context.pooling == llama.LLAMA_POOLING_TYPE_RANK
        self._waiting: deque[_Input] = deque()
        self._thread = thread
        thread.add(self)

    def embed(self, tokens: list[int]) -> Vector:
        """The pooled vector of ``tokens``: of n_embd values, or one score by rank pooling.

        At most ``room`` tokens. Without pooling, the last token's vector. Raises GgmlError if
        it cannot be computed.
        """
        answer: SimpleQueue[Vector | GgmlError] = SimpleQueue()
        self._thread.post(self._waiting.append, _Input(tokens, answer))
        vector = answer.get()
        if isinstance(vector, GgmlError):
            raise vector
        return vector

    def begin_step(self) -> bool:
        """Whether any input waits."""
        self.counters.sequences_waiting = len(self._waiting)
        return bool(self._waiting)

    def patience(self) -> None:
        """No input waits without having been posted."""

    def step(self) -> None:
        """Compute the inputs that have waited longest, as many as a batch takes."""
        context = self._context
        rows = 0
        inputs: list[_Input] = []
        while (
            self._waiting
            and len(inputs) < context.sequences
            and rows + len(self._waiting[0].tokens) <= self.room
        ):
            tokens = self._waiting[0].tokens
            rows = context.put(rows, tokens, 0, len(inputs), True)
            inputs.append(self._waiting.popleft())
        context.want_all(rows)
        forget_errors()
        started = time.perf_counter()
        result = context.decode(rows)
        seconds = time.perf_counter() - started
        self._account(len(inputs), rows, seconds)
        last = -1
        for sequence, each in enumerate(inputs):
            last += len(each.tokens)
            each.answer.put(self._answer(result, sequence, last))
            context.keep(sequence, 0)

    def _account(self, inputs: int, rows: int, seconds: float) -> None:
        counters = self.counters
        counters.sequences_ended += inputs
        counters.prompt_tokens_evaluated += rows
        counters.prompt_seconds += seconds
        counters.batch_tokens.add(rows)
        counters.step_seconds.add(seconds)

    def _answer(self, result: int, sequence: int, last: int) -> Vector | GgmlError:
        if result:
            reason = first_error(f"llama_decode answered {result}")
            return GgmlError(ErrNo.RUNTIME_ERROR, reason)
        pointer = self._context.pointer
        size = llama.llama_model_n_embd_out(self.model.pointer)
        if self._context.pooling == llama.LLAMA_POOLING_TYPE_NONE:
            values = llama.llama_get_embeddings_ith(pointer, last)
        else:
            values = llama.llama_get_embeddings_seq(pointer, sequence)
            if self.scores:
                size = llama.llama_model_n_cls_out(self.model.pointer)
        if not values:
            return GgmlError(ErrNo.RUNTIME_ERROR, "the model gives no embedding")
        return np.array(np.ctypeslib.as_array(values, (size,)), dtype=np.float32)

    def abandon(self, reason: str) -> None:
        """Refuse what waits."""
        while self._waiting:
            answer = self._waiting.popleft().answer
            answer.put(GgmlError(ErrNo.RUNTIME_ERROR, reason))

    def finish(self) -> None:
        """Refuse what waits and free the context."""
        self.abandon("the model is being unloaded")
        self._context.close()

    def close(self) -> None:
        """Free the context, after the present step."""
        self._thread.remove(self)


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
