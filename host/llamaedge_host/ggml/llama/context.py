"""A llama context: a model's KV cache and buffers, and the batch that is given to it.

Only one thread computes with a context. Its pointer is freed by ``close``.
"""

import array
import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...nn.errno import NnErrno
from ..errors import GgmlError
from ..metadata.parse import Settings
from .library import cpus, first_error, forget_errors, llama
from .memory import gpu_count
from .model import Model
from .pages import Pages, caches

State = npt.NDArray[np.uint8]
"""What llama.cpp saves of one sequence."""

MIN_CONTEXT = 256
"""Tokens; llama.cpp sets a context up for a multiple of them."""
LEAST_CONTEXT = 16
"""Tokens that a context must have to be of any use."""
EMBEDDINGS_AT_ONCE = 32
"""Inputs that one batch of embeddings may hold."""
POSITIONS = "position_embd.weight"
"""The tensor of a model that learnt each position by itself."""
AUTO = -1
"""A type of a cache that nobody asked for: F16, or another where that is too large."""
_FLASH = {"on": 1, "enabled": 1, "off": 0, "disabled": 0, "auto": -1}
_NON_CAUSAL = 1
CACHE_TYPES = {"f32": 0, "f16": 1, "bf16": 30, "q8_0": 8, "q5_1": 7, "q5_0": 6, "q4_1": 3}
CACHE_TYPES |= {"q4_0": 2, "iq4_nl": 20}
"""What llama.cpp's KV cache can be of: each ggml_type by its name."""
F16, Q8_0 = CACHE_TYPES["f16"], CACHE_TYPES["q8_0"]
_PLAIN = (AUTO, CACHE_TYPES["f32"], F16, CACHE_TYPES["bf16"])


def made_types(keys: int, values: int) -> tuple[int, int]:
    """The types of a cache that is asked for by these types."""
    return F16 if keys == AUTO else keys, F16 if values == AUTO else values


@dataclass(frozen=True)
class ContextParameters:
    """What makes two llama contexts on one model different."""

    cells: int
    """Tokens that one sequence can hold."""
    batch: int
    micro_batch: int
    embeddings: bool
    pooling: int
    attention: int
    flash: int
    cache_types: tuple[int, int]
    offload: bool
    rope: tuple[int, float, float]
    yarn: tuple[float, float, float, float, int]
    threads: tuple[int, int]
    parallel: int
    """Sequences at once."""
    unified: bool
    """One KV cache for all sequences, else a stream of its own for each. Those of embeddings
    share one, since a pooled sequence must be computed in one piece."""
    swap: int
    """Bytes of states that may be swapped out; negative: as many as suit the memory there is."""
    draft: str = ""
    """The preloaded model that drafts."""

    @property
    def types_shown(self) -> str:
        """The types of the cache, as people write them."""
        names = {number: name for name, number in CACHE_TYPES.items()}
        return " and ".join(dict.fromkeys(names[each] for each in made_types(*self.cache_types)))

    @classmethod
    def of(cls, settings: Settings, model: Model, parallel: int) -> "ContextParameters":
        """What ``settings`` ask for on ``model``. Raises GgmlError for what is impossible."""
        types = settings["cache-type-k"], settings["cache-type-v"]
        for key, kind in zip(("cache-type-k", "cache-type-v"), types, strict=True):
            if kind not in (AUTO, *CACHE_TYPES.values()):
                raise GgmlError(
                    NnErrno.INVALID_ARGUMENT,
                    f"the option {key} cannot be used: {kind} is not a type of a cache; it"
                    f" must be one of {_types_named()}",
                )
        flash = _FLASH[settings["flash-attn"]]
        if not flash and types[1] not in _PLAIN:
            raise GgmlError(
                NnErrno.INVALID_ARGUMENT,
                "the option cache-type-v cannot be used: values are quantised with flash attention"
                " alone, and flash-attn is off",
            )
        cells = _cells(settings["ctx-size"] or model.context_length, model)
        embeddings = settings["embedding"]
        batch = min(settings["batch-size"], cells)
        threads = _threads(settings["threads"], cpus())
        # without causal attention, llama.cpp must compute a batch in one piece
        whole = embeddings or settings["attention-type"] == _NON_CAUSAL or not model.causal
        return cls(
            cells=cells,
            batch=batch,
            micro_batch=batch if whole else min(settings["ubatch-size"], batch),
            embeddings=embeddings,
            pooling=settings["pooling-type"] if embeddings else -1,
            attention=settings["attention-type"],
            flash=flash,
            cache_types=types,
            offload=not settings["no-kv-offload"],
            rope=(
                settings["rope-scaling-type"],
                settings["rope-freq-base"],
                settings["rope-freq-scale"],
            ),
            yarn=(
                settings["yarn-ext-factor"],
                settings["yarn-attn-factor"],
                settings["yarn-beta-fast"],
                settings["yarn-beta-slow"],
                settings["yarn-orig-ctx"],
            ),
            threads=(threads, _threads(settings["threads-batch"], threads)),
            parallel=EMBEDDINGS_AT_ONCE if embeddings else parallel,
            unified=embeddings or settings["kv-unified"],
            swap=settings["cache-ram"] * 2**20,
            draft="" if embeddings else settings["model-draft"],
        )


def _types_named() -> str:
    return ", ".join(f"{number} ({name})" for name, number in CACHE_TYPES.items())


def _cells(wanted: int, model: Model) -> int:
    """Tokens of a context; a model that learnt each position has no others."""
    shapes = (each.shape for each in model.header.tensors if each.name == POSITIONS)
    most = next((shape[-1] for shape in shapes), wanted)
    if LEAST_CONTEXT <= wanted <= most:
        return wanted
    limit = f"the model has {most} positions" if wanted > most else f"{LEAST_CONTEXT} is the least"
    raise GgmlError(
        NnErrno.INVALID_ARGUMENT,
        f"the option ctx-size cannot be used: {wanted} tokens were asked for, and {limit}",
    )


def _threads(wanted: int, otherwise: int) -> int:
    return min(wanted, cpus()) if wanted > 0 else otherwise


class ContextError(GgmlError):
    """llama.cpp cannot set a context up, most often for want of memory."""


class LlamaContext:
    """A context with room for ``parallel`` sequences, numbered from 0."""

    def __init__(self, model: Model, parameters: ContextParameters) -> None:
        forget_errors()
        asked = _parameters(parameters)
        with caches() as found:
            self.pointer: ctypes.c_void_p = llama.llama_init_from_model(model.pointer, asked)
        if not self.pointer:
            reason = first_error("llama.cpp does not say why")
            raise ContextError(NnErrno.INVALID_ARGUMENT, f"the context cannot be set up: {reason}")
        self.memory: ctypes.c_void_p | None = llama.llama_get_memory(self.pointer)
        self.cells: int = min(llama.llama_n_ctx_seq(self.pointer), parameters.cells)
        self.sequences: int = llama.llama_n_seq_max(self.pointer)
        self.room: int = llama.llama_n_batch(self.pointer)
        """Rows that a batch can have."""
        self.micro_batch: int = llama.llama_n_ubatch(self.pointer)
        self.pooling: int = llama.llama_pooling_type(self.pointer)
        self.unified = parameters.unified
        self._pages = Pages(found, 1 if self.unified else self.sequences)
        self._window = model.window
        self._threads = parameters.threads
        self._most_threads = max(parameters.threads)
        self._has_state = model.has_state
        self._on_gpu = gpu_count() > 0
        self._make_batch()

    def _make_batch(self) -> None:
        room = self.room
        self._tokens = array.array("i", bytes(4 * room))
        self._positions = array.array("i", bytes(4 * room))
        self._counts = array.array("i", [1]) * room
        self._outputs = array.array("b", bytes(room))
        self._ids = array.array("i", range(self.sequences))
        base = self._ids.buffer_info()[0]
        self._owners = array.array("Q", [base]) * room
        self._addresses = [array.array("Q", [base + 4 * n]) * room for n in range(self.sequences)]
        self._batch = llama.llama_batch()
        for field, values in (
            ("token", self._tokens),
            ("pos", self._positions),
            ("n_seq_id", self._counts),
            ("seq_id", self._owners),
            ("logits", self._outputs),
        ):
            kind = dict(llama.llama_batch._fields_)[field]
            setattr(self._batch, field, ctypes.cast(values.buffer_info()[0], kind))

    def put(self, row: int, tokens: list[int], begin: int, sequence: int, outputs: int) -> int:
        """Put ``tokens`` of ``sequence``, the first at position ``begin``, from ``row`` on.

        What follows the last ``outputs`` of them is asked for. Answers the next free row.
        """
        count = len(tokens)
        end = row + count
        if count == 1:
            self._tokens[row] = tokens[0]
            self._positions[row] = begin
            self._owners[row] = self._addresses[sequence][0]
            self._outputs[row] = outputs
            return end
        self._tokens[row:end] = array.array("i", tokens)
        self._positions[row:end] = array.array("i", range(begin, begin + count))
        self._owners[row:end] = self._addresses[sequence][:count]
        self._outputs[row:end] = array.array("b", bytes(count - outputs) + b"\1" * outputs)
        return end

    def want_all(self, rows: int) -> None:
        """Ask for what follows each of the first ``rows`` rows."""
        self._outputs[:rows] = array.array("b", b"\1" * rows)

    def use_threads(self, most: int) -> None:
        """Compute with ``most`` threads from now on, or as many as were asked for if fewer."""
        if most != self._most_threads:
            self._most_threads = most
            one, more = (min(most, asked) for asked in self._threads)
            llama.llama_set_n_threads(self.pointer, one, more)

    def decode(self, rows: int, meanwhile: Callable[[], None] = lambda: None) -> int:
        """Compute the first ``rows`` rows; llama_decode's result, 0 for success.

        ``meanwhile`` is called while a GPU computes, or just before the CPU does.
        """
        self._batch.n_tokens = rows
        if not self._on_gpu:
            meanwhile()
        result: int = llama.llama_decode(self.pointer, self._batch)
        if self._on_gpu:  # which computes on: whoever asks for logits would wait, with the GIL
            meanwhile()
            llama.llama_synchronize(self.pointer)
        return result

    def keep(self, sequence: int, count: int) -> int:
        """Cut ``sequence`` to its first ``count`` tokens; how many could be kept."""
        if self.memory is None:
            return 0
        if llama.llama_memory_seq_rm(self.memory, sequence, count, -1):
            return count
        llama.llama_memory_seq_rm(self.memory, sequence, -1, -1)
        return 0

    @property
    def cell_bytes(self) -> int:
        """Bytes of a token's cells in this process's memory; 0 where they cannot be given back."""
        return self._pages.size // int(llama.llama_n_ctx(self.pointer))

    def release(self, sequence: int) -> int:
        """Give the memory of ``sequence``, which holds nothing, back to the system; how many bytes.

        What is shared with a sequence that holds something stays.
        """
        sharing = range(self.sequences) if self.unified else (sequence,)
        if any(llama.llama_memory_seq_pos_max(self.memory, each) >= 0 for each in sharing):
            return 0
        return self._pages.release(0 if self.unified else sequence)

    def first(self, sequence: int) -> int:
        """The first position that a sliding window has not left behind."""
        if not self._window:
            return 0
        return max(int(llama.llama_memory_seq_pos_min(self.memory, sequence)), 0)

    def reusable(self, held: int, first: int, count: int) -> int:
        """How many tokens remain if a cache of ``held`` is cut to ``count``: these, or none.

        ``first`` is its first position. What the token at ``count`` looks at must be there.
        """
        if count == held:
            return count
        if self._has_state or (self._window and first > max(count - self._window + 1, 0)):
            return 0
        return count

    def copy(self, source: int, target: int, held: int, count: int) -> int:
        """Make ``target`` hold the first ``count`` of the ``held`` tokens of ``source``.

        Answers how many it holds: these, or none. Between streams llama.cpp copies all cells,
        used or not, and only with the next batch; a state has the used ones, and is read at once.
        """
        if self.unified:
            llama.llama_memory_seq_rm(self.memory, target, -1, -1)
            llama.llama_memory_seq_cp(self.memory, source, target, -1, -1)
            return self.keep(target, count)
        state = self.save(source, self.state_size(source))
        return self.keep(target, 0) if state is None else self.restore(target, state, held, count)

    def state_size(self, sequence: int) -> int:
        """Bytes of the state of ``sequence``."""
        return int(llama.llama_state_seq_get_size(self.pointer, sequence))

    def save(self, sequence: int, size: int) -> State | None:
        """The state of ``sequence``, ``size`` bytes; None if llama.cpp cannot tell it.

        Of a sliding window's cells it has those that the next token looks at.
        """
        state: State = np.empty(size, dtype=np.uint8)
        written = llama.llama_state_seq_get_data(self.pointer, _bytes(state), size, sequence)
        return state if written == size else None

    def first_saved(self, sequence: int, held: int) -> int:
        """The first position in the state of ``sequence``, which holds ``held`` tokens."""
        return max(self.first(sequence), held - self._window + 1) if self._window else 0

    def restore(self, sequence: int, state: State, held: int, count: int) -> int:
        """Make ``sequence`` hold the first ``count`` of the ``held`` tokens of ``state``.

        Answers how many it holds: these, or none.
        """
        read = llama.llama_state_seq_set_data(self.pointer, _bytes(state), state.nbytes, sequence)
        count = self.reusable(held, self.first(sequence), count) if read else 0
        return self.keep(sequence, count)

    def close(self) -> None:
        """Free it. Call once, from the thread that computed, or after that has ended."""
        llama.llama_free(self.pointer)


def _bytes(state: State) -> Any:
    return ctypes.cast(state.ctypes.data, ctypes.POINTER(ctypes.c_uint8))


def _parameters(parameters: ContextParameters) -> llama.llama_context_params:
    asked = llama.llama_context_default_params()
    asked.kv_unified = parameters.unified
    asked.n_ctx = parameters.cells * (1 if parameters.embeddings else parameters.parallel)
    asked.n_batch = max(parameters.batch, parameters.parallel)
    asked.n_ubatch = max(parameters.micro_batch, parameters.parallel)
    if parameters.embeddings:  # whose pooling takes as many tokens of each sequence
        asked.n_ubatch += -asked.n_ubatch % parameters.parallel
        asked.n_batch = asked.n_ubatch
    asked.n_seq_max = parameters.parallel
    asked.n_threads, asked.n_threads_batch = parameters.threads
    asked.embeddings = parameters.embeddings
    asked.pooling_type = parameters.pooling
    asked.attention_type = parameters.attention
    asked.flash_attn_type = parameters.flash
    asked.type_k, asked.type_v = made_types(*parameters.cache_types)
    asked.offload_kqv = parameters.offload
    asked.rope_scaling_type, asked.rope_freq_base, asked.rope_freq_scale = parameters.rope
    (
        asked.yarn_ext_factor,
        asked.yarn_attn_factor,
        asked.yarn_beta_fast,
        asked.yarn_beta_slow,
        asked.yarn_orig_ctx,
    ) = parameters.yarn
    return asked
