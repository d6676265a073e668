"""llama.cpp by itself, in a process of its own: what everything else is compared with.

A second thread that computes in one process would have a second OpenMP team, and teams of more
threads than CPUs stop spinning, which would slow down both sides of a comparison.
"""

import multiprocessing
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as llama

from llamaedge_host.ggml.llama.library import cpus

CONTEXT = 4096  # tokens
BATCH = 512
EMBEDDINGS = 32  # sequences of a context for embeddings, which share its cache


class Bare:
    """A model and a context in a child process, greedy; methods are those of _Bare.

    With ``embedding`` the context makes embeddings, pooled by their mean, and no text.
    """

    def __init__(
        self, path: Path, *, sequences: int = 1, context: int = CONTEXT, embedding: bool = False
    ) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        parameters = _embedding(context) if embedding else _text(context, sequences)
        self._process = spawn.Process(target=_serve, args=(theirs, path, parameters), daemon=True)
        self._process.start()

    def _call(self, name: str, *arguments: Any) -> Any:
        self._pipe.send((name, arguments))
        return self._pipe.recv()

    def tokenize(self, text: str) -> list[int]:
        return self._call("tokenize", text)  # type: ignore[no-any-return]

    def prefill(self, tokens: list[int]) -> float:
        """Evaluate ``tokens`` from an empty cache; seconds."""
        return self._call("prefill", tokens)  # type: ignore[no-any-return]

    def generate(self, count: int) -> tuple[list[int], float]:
        """``count`` greedy tokens after what is in the cache; the seconds from first to last."""
        return self._call("generate", count)  # type: ignore[no-any-return]

    def generate_batched(self, prompt: list[int], sequences: int, count: int) -> float:
        """``count`` greedy tokens of each of ``sequences`` after ``prompt``; seconds for all
        but the first, which follow from the prompts."""
        return self._call("generate_batched", prompt, sequences, count)  # type: ignore[no-any-return]

    def embed(self, inputs: list[list[int]], count: int) -> float:
        """The embeddings of ``inputs`` in one batch, ``count`` times; seconds."""
        return self._call("embed", inputs, count)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._pipe.close()
        self._process.join()


def _text(context: int, sequences: int) -> dict[str, Any]:
    return {
        "n_ctx": context * sequences,
        "n_batch": BATCH,
        "n_ubatch": BATCH,
        "n_seq_max": sequences,
    }


def _embedding(context: int) -> dict[str, Any]:
    return {
        "n_ctx": context,
        "n_batch": context,
        "n_ubatch": context,
        "n_seq_max": EMBEDDINGS,
        "kv_unified": True,
        "embeddings": True,
        "pooling_type": llama.LLAMA_POOLING_TYPE_MEAN,
    }


def _serve(pipe: Connection, path: Path, parameters: dict[str, Any]) -> None:
    bare = _Bare(path, parameters)
    with suppress(EOFError):
        while True:
            name, arguments = pipe.recv()
            pipe.send(getattr(bare, name)(*arguments))
    bare.close()


class _Bare:
    def __init__(self, path: Path, parameters: dict[str, Any]) -> None:
        self.model = llama.llama_model_load_from_file(
            str(path).encode(), llama.llama_model_default_params()
        )
        self.vocabulary = llama.llama_model_get_vocab(self.model)
        params = llama.llama_context_default_params()
        for name, value in parameters.items():
            setattr(params, name, value)
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
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)
        started = time.perf_counter()
        for begin in range(0, len(tokens), BATCH):
            self._decode(tokens[begin : begin + BATCH])
        llama.llama_synchronize(self.context)
        return time.perf_counter() - started

    def _decode(self, tokens: list[int]) -> None:
        array = (llama.llama_token * len(tokens))(*tokens)
        result = llama.llama_decode(self.context, llama.llama_batch_get_one(array, len(tokens)))
        assert result == 0

    def generate(self, count: int) -> tuple[list[int], float]:
        made = [llama.llama_sampler_sample(self.sampler, self.context, -1)]
        started = time.perf_counter()
        while len(made) < count:
            self._decode(made[-1:])
            made.append(llama.llama_sampler_sample(self.sampler, self.context, -1))
        return made, time.perf_counter() - started

    def generate_batched(self, prompt: list[int], sequences: int, count: int) -> float:
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)
        batch = llama.llama_batch_init(BATCH, 0, 1)
        last = []
        for sequence in range(sequences):
            self._fill(batch, [(token, n, sequence) for n, token in enumerate(prompt)])
            assert llama.llama_decode(self.context, batch) == 0
            last.append(llama.llama_sampler_sample(self.sampler, self.context, len(prompt) - 1))
        started = time.perf_counter()
        for step in range(count - 1):
            position = len(prompt) + step
            self._fill(batch, [(token, position, n) for n, token in enumerate(last)], every=True)
            assert llama.llama_decode(self.context, batch) == 0
            last = [
                llama.llama_sampler_sample(self.sampler, self.context, n) for n in range(sequences)
            ]
        seconds = time.perf_counter() - started
        llama.llama_batch_free(batch)
        return seconds

    def embed(self, inputs: list[list[int]], count: int) -> float:
        size = llama.llama_model_n_embd_out(self.model)
        rows = [(each, n, s) for s, tokens in enumerate(inputs) for n, each in enumerate(tokens)]
        batch = llama.llama_batch_init(len(rows), 0, 1)
        started = time.perf_counter()
        for _ in range(count):
            llama.llama_memory_clear(llama.llama_get_memory(self.context), True)
            self._fill(batch, rows, every=True)
            assert llama.llama_decode(self.context, batch) == 0
            for sequence in range(len(inputs)):
                values = llama.llama_get_embeddings_seq(self.context, sequence)
                np.array(np.ctypeslib.as_array(values, (size,)))
        seconds = time.perf_counter() - started
        llama.llama_batch_free(batch)
        return seconds

    def _fill(
        self, batch: llama.llama_batch, rows: list[tuple[int, int, int]], *, every: bool = False
    ) -> None:
        for row, (token, position, sequence) in enumerate(rows):
            batch.token[row], batch.pos[row] = token, position
            batch.n_seq_id[row], batch.seq_id[row][0] = 1, sequence
            batch.logits[row] = every or row == len(rows) - 1
        batch.n_tokens = len(rows)

    def close(self) -> None:
        llama.llama_sampler_free(self.sampler)
        llama.llama_free(self.context)
        llama.llama_model_free(self.model)
