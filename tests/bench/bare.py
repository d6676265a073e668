"""llama.cpp by itself: what everything else is compared with."""

import ctypes
import time
from pathlib import Path

from llama_cpp import llama_cpp as llama

from llamaedge_host.ggml.library import cpus

CONTEXT = 4096  # tokens
BATCH = 512


class Bare:
    """A model and a context, one sequence, greedy."""

    def __init__(self, path: Path, *, sequences: int = 1, context: int = CONTEXT) -> None:
        self.model = llama.llama_model_load_from_file(
            str(path).encode(), llama.llama_model_default_params()
        )
        self.vocabulary = llama.llama_model_get_vocab(self.model)
        params = llama.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = context * sequences, BATCH, BATCH
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = cpus()
        self.context = llama.llama_init_from_model(self.model, params)
        self.sampler = llama.llama_sampler_init_greedy()

    def tokenize(self, text: str) -> list[int]:
        data = text.encode()
        tokens = (llama.llama_token * (len(data) + 2))()
        count = llama.llama_tokenize(
            self.vocabulary, data, len(data), tokens, len(tokens), True, True
        )
        return list(tokens[:count])

    def prefill(self, tokens: list[int]) -> float:
        """Evaluate ``tokens`` from an empty cache; seconds."""
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)
        started = time.perf_counter()
        for begin in range(0, len(tokens), BATCH):
            part = tokens[begin : begin + BATCH]
            array = (llama.llama_token * len(part))(*part)
            assert (
                llama.llama_decode(self.context, llama.llama_batch_get_one(array, len(part))) == 0
            )
        llama.llama_synchronize(self.context)
        return time.perf_counter() - started

    def generate(self, count: int) -> tuple[list[int], float]:
        """``count`` greedy tokens after what is in the cache; the seconds from first to last."""
        made = []
        token = (llama.llama_token * 1)()
        started = 0.0
        for _ in range(count):
            token[0] = llama.llama_sampler_sample(self.sampler, self.context, -1)
            made.append(token[0])
            if len(made) == 1:
                started = time.perf_counter()
            if len(made) < count:
                assert llama.llama_decode(self.context, llama.llama_batch_get_one(token, 1)) == 0
        return made, time.perf_counter() - started

    def text(self, tokens: list[int]) -> str:
        buffer = ctypes.create_string_buffer(256)
        pieces = []
        for token in tokens:
            size = llama.llama_token_to_piece(self.vocabulary, token, buffer, 256, 0, False)
            pieces.append(buffer.raw[:size])
        return b"".join(pieces).decode(errors="replace")

    def close(self) -> None:
        llama.llama_sampler_free(self.sampler)
        llama.llama_free(self.context)
        llama.llama_model_free(self.model)
