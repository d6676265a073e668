"""What a token costs as things grow: the context, sequences, the vocabulary, idle conversations.

A model of one small layer computes with one thread, so that what is ours shows. Times are those
of the CPU that the engine's thread took, which other work hardly changes: of llama_decode, and of
everything else that a step does. The last table is the time of a small request to a server that
has many idle connections. Writes the plots of docs/plots.
"""

import json
import resource
import socket
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import plot
from report import Report
from server import Server, model_file

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.engine.engine import Engine
from llamaedge_host.ggml.engine.states import Stored
from llamaedge_host.ggml.engine.store import Store
from llamaedge_host.ggml.engine.swap import Swapped
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.ggml.llama import compute
from llamaedge_host.ggml.llama.context import LlamaContext
from llamaedge_host.nn import Target

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from tests.models import sized  # noqa: E402

PLOTS = ROOT / "docs" / "plots"
TOKENS = 48
CONTEXTS = (1024, 2048, 4096, 8192, 16384, 32768)
SEQUENCES = (1, 2, 4, 8, 16, 32, 64)
VOCABULARIES = (1000, 5000, 20_000, 50_000, 150_000)
IDLE = (10, 100, 1000, 10_000)
CONNECTIONS = (10, 100, 1000, 5000)
REQUESTS = 40
SMALL = ("--parallel", "1", "--ctx-size", "512", "--threads", "1")
DECODE, OURS = "llama_decode", "the rest of a step"
MODEL = {"width": 64, "layers": 1, "feed": 64}
KEYS: dict[str, Any] = {
    "threads": 1,
    "batch-size": 512,
    "temp": 0.8,
    "seed": 1,
    "ignore-eos": True,
    "n-predict": TOKENS,
    "n-max-speculative": 0,
}


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """CPU seconds of the steps that decode, and of llama_decode in them."""
    taken: dict[str, float] = defaultdict(float)
    step, decode = compute._step, LlamaContext.decode

    def timed_step(worker: Any) -> bool:
        made = worker.counters.generated_tokens
        before, inner = time.thread_time(), taken[DECODE]
        result = step(worker)
        if worker.counters.generated_tokens == made:  # a prompt's
            taken[DECODE] = inner
        else:
            taken["steps"] += time.thread_time() - before
            taken["tokens"] += worker.counters.generated_tokens - made
        return result

    def timed_decode(context: LlamaContext, rows: int) -> int:
        before = time.thread_time()
        result = decode(context, rows)
        taken[DECODE] += time.thread_time() - before
        return result

    compute._step, LlamaContext.decode = timed_step, timed_decode  # type: ignore[method-assign]
    try:
        yield taken
    finally:
        compute._step, LlamaContext.decode = step, decode  # type: ignore[method-assign]


def cost(graph: GgmlGraph, prompts: Sequence[str]) -> dict[str, float]:
    """Microseconds of a token, of each part, where all of ``prompts`` are answered at once."""
    contexts = [graph.context() for _ in prompts]
    for context, prompt in zip(contexts, prompts, strict=True):
        context.set_input(0, 3, prompt.encode())
        context.set_input(1, 3, b'{"n-predict": 1}')
        context.compute()
        context.set_input(1, 3, json.dumps({"n-predict": TOKENS}).encode())
    threads = [threading.Thread(target=context.compute) for context in contexts]
    with watched() as taken:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for context in contexts:
        context.close()
    ours = taken["steps"] - taken[DECODE]
    return {part: 1e6 * seconds / taken["tokens"]
            for part, seconds in ((DECODE, taken[DECODE]), (OURS, ours))}  # fmt: skip


def load(path: Path, parallel: int, **keys: Any) -> tuple[GgmlBackend, GgmlGraph]:
    backend = GgmlBackend(parallel=parallel)
    return backend, backend.load(path, Target.CPU, json.dumps(KEYS | keys))


def contexts(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    backend, graph = load(path, 1, **{"ctx-size": CONTEXTS[-1]})
    for count in CONTEXTS:
        yield count, cost(graph, ["a" * (count - TOKENS - 16)])
    graph.close()
    backend.close()


def sequences(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    backend, graph = load(path, SEQUENCES[-1], **{"ctx-size": 256})
    for count in SEQUENCES:
        yield count, cost(graph, [f" and the {chr(97 + n % 26)}{n}" for n in range(count)])
    graph.close()
    backend.close()


def vocabularies(folder: Path) -> Iterator[tuple[int, dict[str, float]]]:
    for count in VOCABULARIES:
        path = sized.llama(folder / f"{count}.gguf", vocabulary=count, context=512, **MODEL)
        backend, graph = load(path, 1, **{"ctx-size": 512})
        yield count, cost(graph, ["the sea and the "])
        graph.close()
        backend.close()


def idle(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Beside as many in memory, and as many in files."""
    backend, graph = load(path, 2, **{"ctx-size": 512, "cache-ram": 64})
    engine = graph.engine()
    assert isinstance(engine, Engine)
    store = engine._cache.store = Store(path.parent, 1, "0" * 64, 512)
    random, state, kept = np.random.default_rng(1), np.zeros(64, np.uint8), 0
    for count in IDLE:
        while kept < count:
            tokens, other = ([1, *random.integers(5, 250, 64).tolist()] for _ in range(2))
            engine._swap.add(Swapped(tokens, 0, state))
            store._add(Stored(path.parent / str(kept), other, 0, 64))
            kept += 1
        yield count, cost(graph, ["the sea and the "])
    graph.close()
    backend.close()


def connections() -> Iterator[tuple[int, dict[str, float]]]:
    """Milliseconds of a small request beside idle connections."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with Server([*SMALL, "--max-connections", str(2 * CONNECTIONS[-1])]) as server:
        open_ones: list[socket.socket] = []
        with ExitStack() as closing:
            for count in CONNECTIONS:
                while len(open_ones) < min(count, most):
                    each = socket.create_connection(("127.0.0.1", server.port))
                    open_ones.append(closing.enter_context(each))
                taken = [_seconds(server) for _ in range(REQUESTS)]
                yield len(open_ones), {"/v1/models": 1e3 * median(taken)}


def _seconds(server: Server) -> float:
    started = time.perf_counter()
    assert server.client.get("/v1/models").status_code == 200
    return time.perf_counter() - started


def measure(report: Report, rounds: int) -> None:
    model_file()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        path = sized.llama(folder / "one.gguf", context=CONTEXTS[-1], **MODEL)
        tables: dict[str, tuple[str, str, Callable[[], Iterator[tuple[int, dict[str, float]]]]]] = {
            "context": ("tokens of the context", "us a token", lambda: contexts(path)),
            "sequences": ("sequences at once", "us a token", lambda: sequences(path)),
            "vocabulary": ("tokens of the vocabulary", "us a token", lambda: vocabularies(folder)),
            "idle": ("idle conversations", "us a token", lambda: idle(path)),
            "connections": ("idle connections", "ms a request", connections),
        }
        for name, (across, unit, rows) in tables.items():
            found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
            for _ in range(rounds):
                for count, parts in rows():
                    for part, value in parts.items():
                        found[part][count].append(value)
                        report.add(f"{count} {across}: {part}", value, unit)
            series = {
                part: [(count, max(median(values), 1e-3)) for count, values in row.items()]
                for part, row in found.items()
            }
            plot.write(PLOTS / f"growth-{name}.svg", f"By {across}", across, unit, series)
