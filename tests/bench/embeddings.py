"""Embeddings a second through wasi-nn, against a bare llama.cpp loop: one input at a time, and
eight guests at once, whose inputs the engine puts into one batch, as the bare loop does.

An embedding is computed and read by the guest, which sets the input anew each time.
"""

import json
import threading
import time
from functools import partial

from bare import Bare
from nn import guest_text
from report import Report
from server import model_file
from streams import words

from llamaedge_host import Guest, NeuralNetwork, Preload
from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.nn.preload import Encoding

GUESTS = 8
EACH = 6  # embeddings of one guest in a measurement
CONTEXT = 512
CONFIG = {"embedding": True, "pooling-type": 1, "ctx-size": CONTEXT, "batch-size": CONTEXT}
LENGTHS = (6, 30)
"""Words of an input."""


def embed(guest: Guest, count: int) -> None:
    for _ in range(count):
        assert guest.call("prepare") == 0
        assert guest.call("compute") == 0
        assert guest.call("output") == 0


def rate(guests: list[Guest], count: int) -> float:
    """Embeddings a second of ``guests`` together, ``count`` of each."""
    threads = [threading.Thread(target=embed, args=(each, count)) for each in guests]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(guests) * count / (time.perf_counter() - started)


def computed(nn: NeuralNetwork) -> tuple[int, int]:
    """Inputs and batches so far."""
    backend = nn.backend(Encoding.GGML)
    assert isinstance(backend, GgmlBackend)
    (counters,) = backend.counters().values()
    return counters.sequences_ended, counters.batch_tokens.total


def measure(report: Report, rounds: int) -> None:
    nn = NeuralNetwork([Preload.parse(f"default:GGML:AUTO:{model_file()}")])
    bare = Bare(model_file(), context=CONTEXT, embedding=True)

    def batched(inputs: list[list[int]], count: int) -> float:
        return len(inputs) * count / bare.embed(inputs, count)

    for length in LENGTHS:
        texts = [words(length, seed) for seed in range(GUESTS)]
        inputs = [bare.tokenize(text) for text in texts]
        guests = [Guest(guest_text(json.dumps(CONFIG), text), nn=nn) for text in texts]
        for each in guests:
            assert each.call("load") == 0
        tokens = sum(map(len, inputs)) // GUESTS
        pairs = [
            {
                f"bare, {tokens} tokens": partial(batched, inputs[:1], GUESTS * EACH),
                f"1 guest, {tokens} tokens": partial(rate, guests[:1], GUESTS * EACH),
            },
            {
                f"bare, 8 inputs of {tokens} tokens": partial(batched, inputs, EACH),
                f"8 guests, {tokens} tokens": partial(rate, guests, EACH),
            },
        ]
        for pair in pairs:
            Report("warming up").compare("embeddings/s", pair, 1)
        for _ in range(rounds):
            for pair in pairs:
                report.compare("embeddings/s", pair)
            before = computed(nn)
            rate(guests, EACH)
            done, batches = (new - old for new, old in zip(computed(nn), before, strict=True))
            report.add(f"8 guests, {tokens} tokens, inputs in a batch", done / batches, "")
        for each in guests:
            each.close()
    bare.close()
    nn.close()
