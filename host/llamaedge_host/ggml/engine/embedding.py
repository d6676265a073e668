"""Embeddings: a llama context that pools, and how WasmEdge normalises and writes its vectors.

Source: llama.cpp's common_embd_normalize, WasmEdge's getEmbedding.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from ...nn.errno import NnErrno
from ..errors import GgmlError
from ..llama.compute import UNLOADED, ComputeThread
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
        self._lock = threading.Lock()
        self._closed = False
        thread.add(self)

    def embed(self, tokens: list[int]) -> Vector:
        """The pooled vector of ``tokens``: of n_embd values, or one score by rank pooling.

        At most ``room`` tokens. Without pooling, the last token's vector. Raises GgmlError if
        it cannot be computed.
        """
        return self.embed_all([tokens])[0]

    def embed_all(self, inputs: Iterable[list[int]]) -> list[Vector]:
        """The same of several inputs, in batches."""
        answers = [self._submit(tokens) for tokens in inputs]
        found = [answer.get() for answer in answers]
        for vector in found:
            if isinstance(vector, GgmlError):
                raise vector
        return [vector for vector in found if not isinstance(vector, GgmlError)]

    def _submit(self, tokens: list[int]) -> "SimpleQueue[Vector | GgmlError]":
        answer: SimpleQueue[Vector | GgmlError] = SimpleQueue()
        with self._lock:
            if self._closed:
                raise _refusal(UNLOADED)
            self._thread.post(self._waiting.append, _Input(tokens, answer), self)
        return answer

    def begin_step(self) -> bool:
        """Whether any input waits."""
        self.counters.sequences_waiting = len(self._waiting)
        return bool(self._waiting)

    def patience(self) -> None:
        """No input waits without having been posted."""

    def step(self) -> None:
        """Compute the inputs that have waited longest, as many as a batch takes.

        An input waits until it has its answer.
        """
        context = self._context
        rows = 0
        inputs: list[_Input] = []
        for each in islice(self._waiting, context.sequences):
            if rows + len(each.tokens) > self.room:
                break
            rows = context.put(rows, each.tokens, 0, len(inputs), True)
            inputs.append(each)
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
            self._waiting.popleft()
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
            return _refusal(reason)
        pointer = self._context.pointer
        size = llama.llama_model_n_embd_out(self.model.pointer)
        if self._context.pooling == llama.LLAMA_POOLING_TYPE_NONE:
            values = llama.llama_get_embeddings_ith(pointer, last)
        else:
            values = llama.llama_get_embeddings_seq(pointer, sequence)
            if self.scores:
                size = llama.llama_model_n_cls_out(self.model.pointer)
        if not values:
            return _refusal("the model gives no embedding")
        return np.array(np.ctypeslib.as_array(values, (size,)), dtype=np.float32)

    def abandon(self, reason: str) -> None:
        """Refuse what waits, and forget what a step may have left in the cache."""
        for sequence in range(self._context.sequences):
            self._context.keep(sequence, 0)
        while self._waiting:
            self._waiting.popleft().answer.put(_refusal(reason))

    def finish(self) -> None:
        """Refuse what waits and free the context."""
        self.abandon(UNLOADED)
        self._context.close()

    def close(self) -> None:
        """Refuse what waits, after the present step, and free the context."""
        with self._lock:
            self._closed = True
        self._thread.remove(self)


def _refusal(reason: str) -> GgmlError:
    return GgmlError(NnErrno.RUNTIME_ERROR, reason)


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
