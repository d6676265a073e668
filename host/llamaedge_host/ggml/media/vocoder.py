"""The vocoder of speech: WavTokenizer's decoder, which turns codes into spectra.

Source: WasmEdge's GGML/tts/tts_core.cpp, llama.cpp's wavtokenizer-dec.cpp.
"""

from pathlib import Path
from queue import SimpleQueue

import numpy as np

from ...nn.errno import NnErrno
from ..errors import GgmlError
from ..llama import amx, gguf
from ..llama.compute import ComputeThread
from ..llama.library import cpus, first_error, forget_errors, llama
from ..llama.memory import lacking
from ..llama.openmp import end_team
from .audio import SPECTRUM, Floats

ARCHITECTURE = "wavtokenizer-dec"
LONGEST = 4096
"""Codes computed in one piece; its memory grows with their square."""

_F16 = 1
_BLOCKS = 6
_CONVOLUTION = (
    "conv1d",
    ".conv1",
    ".conv2",
    ".attn_q",
    ".attn_k",
    ".attn_v",
    ".attn_output",
    ".dw",
)


class Vocoder:
    """The vocoder in a file. Raises GgmlError (INVALID_ARGUMENT) for a file that is none.

    It computes in ``thread``, which must be running. Freed when nothing refers to it.
    """

    def __init__(self, path: Path, thread: ComputeThread, *, gpu: bool) -> None:
        _check(path, gpu=gpu)
        self._thread = thread
        asked = llama.llama_model_default_params()
        asked.use_extra_bufts = amx.works()
        if not gpu:
            asked.n_gpu_layers = 0
        forget_errors()
        self._pointer = llama.llama_model_load_from_file(str(path).encode(), asked)
        end_team()
        if not self._pointer:
            raise _unusable(path, first_error("llama.cpp does not say why"))
        vocabulary = llama.llama_model_get_vocab(self._pointer)
        self._size: int = llama.llama_vocab_n_tokens(vocabulary)

    def spectra(self, codes: list[int]) -> Floats:
        """The spectra of ``codes``, shape (codes, SPECTRUM); codes it does not know are left out.

        Blocks. Raises GgmlError (RUNTIME_ERROR) if there is none, or if they cannot be computed.
        """
        answer: SimpleQueue[Floats | GgmlError] = SimpleQueue()
        known = [code for code in codes if code < self._size]
        self._thread.post(self._answer, (known, answer))
        spectra = answer.get()
        if isinstance(spectra, GgmlError):
            raise spectra
        return spectra

    def _answer(self, asked: tuple[list[int], "SimpleQueue[Floats | GgmlError]"]) -> None:
        codes, answer = asked
        try:
            pieces = [
                self._compute(codes[begin : begin + LONGEST])
                for begin in range(0, len(codes), LONGEST)
            ]
            if not pieces:
                raise _failed("the model made no sound")
            answer.put(np.concatenate(pieces))
        except GgmlError as error:
            answer.put(error)
        except Exception as error:  # whoever waits for an answer must get one
            answer.put(_failed(f"the vocoder failed: {error}"))

    def _compute(self, codes: list[int]) -> Floats:
        count = len(codes)
        forget_errors()
        context = llama.llama_init_from_model(self._pointer, _parameters(count))
        if not context:
            raise _failed(first_error("the vocoder's context cannot be set up"))
        try:
            tokens = (llama.llama_token * count)(*codes)
            result = llama.llama_decode(context, llama.llama_batch_get_one(tokens, count))
            values = llama.llama_get_embeddings(context)
            if result or not values:
                raise _failed(first_error(f"llama_decode answered {result}"))
            spectra = np.array(np.ctypeslib.as_array(values, (count, SPECTRUM)), dtype=np.float32)
        finally:
            llama.llama_free(context)
        if not np.isfinite(spectra).all():
            raise _failed("the vocoder computes no numbers: its weights are damaged")
        return spectra

    def __del__(self) -> None:
        if getattr(self, "_pointer", None):
            llama.llama_model_free(self._pointer)


def _parameters(count: int) -> llama.llama_context_params:
    asked = llama.llama_context_default_params()
    asked.n_ctx = asked.n_batch = asked.n_ubatch = count
    asked.n_seq_max = 1
    asked.embeddings = True
    asked.pooling_type = llama.LLAMA_POOLING_TYPE_NONE
    asked.n_threads = asked.n_threads_batch = cpus()
    return asked


def _check(path: Path, *, gpu: bool) -> None:
    """Refuse a file that is no vocoder, or one on which llama.cpp would end the process."""
    try:
        header = gguf.read(path)
    except FileNotFoundError:
        raise _unusable(path, "it does not exist") from None
    except (OSError, gguf.GgufError) as error:
        raise _unusable(path, str(error)) from None
    if header.architecture != ARCHITECTURE:
        raise _unusable(path, f"it is a {header.architecture} model, not {ARCHITECTURE}")
    if why := lacking(header.size, gpu=gpu):
        raise _unusable(path, why)
    width, groups = header.integer("posnet.embedding_length"), "attention.group_norm_groups"
    needed = (
        ("embedding_length", (SPECTRUM,)),
        ("posnet.block_count", (_BLOCKS,)),
        ("convnext.block_count", range(1, header.integer("block_count") + 1)),
        ("block_count", range(_BLOCKS, gguf.MAX_LAYERS + 1)),
        ("posnet.embedding_length", range(1, 1 << 16)),
        ("convnext.embedding_length", (width,)),
        (groups, [count for count in range(1, width + 1) if width % count == 0]),
    )
    for key, allowed in needed:
        if (found := header.integer(key)) not in allowed:
            raise _unusable(path, f"its {key} is {found}")
    for tensor in header.tensors:
        name, _, kind = tensor.name.rpartition(".")
        if kind == "weight" and name.endswith(_CONVOLUTION) and tensor.kind != _F16:
            raise _unusable(path, f"its tensor {tensor.name} is of type {tensor.kind}, not F16")


def _failed(why: str) -> GgmlError:
    return GgmlError(NnErrno.RUNTIME_ERROR, why)


def _unusable(path: Path, why: str) -> GgmlError:
    return GgmlError(NnErrno.INVALID_ARGUMENT, f"the vocoder {path} cannot be loaded: {why}")
