"""What conversations leave of a KV cache is given back to the system, and nothing else."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.engine.engine import Engine
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.ggml.llama import zeroing
from llamaedge_host.nn import Target

from ..models import sized
from .conftest import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pages are Linux's")

LONG, SHORT, SYSTEM = b"a" * 2000, b"the sea and the bird", b"be brief " * 8
F32 = 0
KEYS = {"ctx-size": 2304, "threads": 1, "temp": 0, "n-predict": 4, "ignore-eos": True}
KEYS |= {"cache-type-k": F32, "cache-type-v": F32, "flash-attn": "on", "cache-ram": 0}
PART = 0.8
"""Of a cache's bytes, those that must come and go at least."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose cache takes 32 KiB a token."""
    path = tmp_path_factory.mktemp("pages") / "wide.gguf"
    return sized.llama(path, width=256, layers=16, feed=32, context=2304)


@contextmanager
def serving(model: Path, parallel: int, **keys: Any) -> Iterator[tuple[GgmlGraph, Engine]]:
    backend = GgmlBackend(parallel=parallel)
    graph = backend.load(model, Target.CPU, json.dumps(KEYS | keys))
    engine = graph.engine()
    assert isinstance(engine, Engine)
    try:
        yield graph, engine
    finally:
        graph.close()
        backend.close()


def anonymous() -> int:
    """Bytes of this process's own memory that are there."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


def cache_bytes(engine: Engine, text: bytes) -> int:
    return len(text) * engine._context.cell_bytes


def ask(graph: GgmlGraph, prompt: bytes) -> tuple[bytes, int]:
    """The answer, and how many tokens of the prompt were known."""
    context = graph.context()
    answer = run(context, prompt)
    known = json.loads(context.output(1))["cached_tokens"]
    context.close()
    return answer, known


def test_a_conversation_that_is_forgotten_gives_its_memory_back(model: Path) -> None:
    assert zeroing.ON_USE
    with serving(model, 2) as (graph, engine):
        expected, _ = ask(graph, SHORT)
        large = cache_bytes(engine, LONG)
        assert large > 50 << 20
        before = anonymous()
        ask(graph, LONG)
        held = anonymous()
        assert held - before > PART * large
        (slot,) = [each.index for each in engine.slots() if each.tokens > 1000]
        assert engine.erase(slot) > 1000
        assert held - anonymous() > PART * large
        assert ask(graph, SHORT)[0] == expected, "what others hold is lost"
        assert ask(graph, SYSTEM)[0]


def test_a_short_conversation_in_its_place_takes_less(model: Path) -> None:
    with serving(model, 1) as (graph, engine):
        large = cache_bytes(engine, LONG)
        fresh, _ = ask(graph, SYSTEM + SHORT)
        engine.erase(0)
        ask(graph, SYSTEM + LONG[: -len(SYSTEM)])
        held = anonymous()
        answer, known = ask(graph, SYSTEM + SHORT)
        assert known > len(SYSTEM) / 2
        assert answer == fresh
        assert held - anonymous() > PART * large


def test_what_was_swapped_out_comes_back(model: Path) -> None:
    with serving(model, 1, **{"cache-ram": 256}) as (graph, engine):
        ask(graph, LONG)
        held = anonymous()
        ask(graph, SHORT)
        kept = engine.counters.swap_bytes
        assert kept > PART * cache_bytes(engine, LONG)
        assert held - anonymous() < (1 - PART) * kept, "it is in memory still"
        _, known = ask(graph, LONG)
        assert known > 1900
        assert engine.counters.swapped_in == 1


def test_cells_that_all_share_stay_while_any_has_some(model: Path) -> None:
    with serving(model, 2, **{"kv-unified": True}) as (graph, engine):
        expected, _ = ask(graph, SHORT * 5)
        ask(graph, LONG)
        held, large = anonymous(), cache_bytes(engine, LONG)
        slots = {each.tokens > 1000: each.index for each in engine.slots()}
        engine.erase(slots[True])
        assert held - anonymous() < (1 - PART) * large
        answer, known = ask(graph, SHORT * 5)
        assert (answer, known > 50) == (expected, True)
        ask(graph, LONG)
        for index in slots.values():
            engine.erase(index)
        assert held - anonymous() > PART * large
