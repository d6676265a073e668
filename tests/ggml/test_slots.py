"""What the slots of an engine are doing, as the backend tells it, and who may choose one."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.errors import GgmlError
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.nn import NnErrno, Target

from .conftest import FRANCE, Load, run

KEYS = {"temp": 0, "ctx-size": 256, "threads": 1, "n-predict": 8, "ignore-eos": True}
SEA = b"the sea and the bird " * 6


def test_slots_tell_of_a_sequence_and_of_what_it_leaves(load: Load) -> None:
    backend = GgmlBackend(parallel=2)
    assert backend.slots() == []
    graph = backend.load(load().model.path, 0, '{"ctx-size": 256, "threads": 1, "temp": 0}')
    context = graph.context()
    try:
        assert [(each.busy, each.tokens) for each in backend.slots()] == [(False, 0)] * 2
        context.set_input(0, 1, FRANCE)
        assert context.compute_single() is NnErrno.SUCCESS
        (busy,) = [each for each in backend.slots() if each.busy]
        assert busy.prompt > 10
        assert busy.made >= 1
        assert busy.tokens >= busy.prompt
        assert (busy.cells, busy.left) == (256, None)
        context.fini_single()
        left = {each.index: each.tokens for each in backend.slots()}
        assert left[busy.index] >= busy.prompt
        assert backend.properties().slots == 2
        assert backend.properties().cells == 256
        assert "<|im_start|>" in backend.properties().template
    finally:
        context.close()
        graph.close()
        backend.close()


@pytest.fixture
def served(tiny_llama: Path) -> Iterator[tuple[GgmlBackend, GgmlGraph]]:
    backend = GgmlBackend(parallel=4)
    graph = backend.load(tiny_llama, Target.AUTO, json.dumps(KEYS))
    yield backend, graph
    graph.close()
    backend.close()


def placed(graph: GgmlGraph, slot: int) -> GgmlContext:
    context = graph.context()
    context.set_input(1, 1, json.dumps({"id-slot": slot}).encode())
    return context


def held(backend: GgmlBackend) -> list[bool]:
    return [each.tokens > 0 for each in backend.slots()]


def test_a_request_is_computed_in_the_slot_that_it_names(
    served: tuple[GgmlBackend, GgmlGraph],
) -> None:
    backend, graph = served
    answer = run(placed(graph, 2), SEA)
    assert held(backend) == [False, False, True, False]
    again = placed(graph, 0)
    assert run(again, SEA) == answer
    assert held(backend) == [True, False, True, False]
    assert json.loads(again.output(1))["cached_tokens"] > 20, "another slot's cache is copied"
    backend.erase_slot(0)
    backend.erase_slot(2)
    assert run(placed(graph, -1), SEA) == answer


def test_who_waits_for_a_slot_keeps_no_one_from_the_others(
    served: tuple[GgmlBackend, GgmlGraph],
) -> None:
    _, graph = served
    first, second = placed(graph, 3), placed(graph, 3)
    first.set_input(0, 1, SEA)
    assert first.compute_single() is NnErrno.SUCCESS
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run, second, SEA)
        answer = run(placed(graph, -1), SEA)
        assert not waiting.done()
        first.fini_single()
        assert waiting.result(timeout=60) == answer


def test_slots_that_are_no_neighbours_compute_beside_each_other(
    served: tuple[GgmlBackend, GgmlGraph],
) -> None:
    backend, graph = served
    texts = [SEA, b"a fish with a wing " * 6]
    alone = [run(placed(graph, -1), text) for text in texts]
    for number in range(4):
        backend.erase_slot(number)
    with ThreadPoolExecutor(2) as pool:
        pairs = zip((placed(graph, 0), placed(graph, 3)), texts, strict=True)
        assert list(pool.map(lambda pair: run(*pair), pairs)) == alone
    assert held(backend) == [True, False, False, True]


def test_a_slot_that_is_not_there_is_refused(served: tuple[GgmlBackend, GgmlGraph]) -> None:
    _, graph = served
    with pytest.raises(GgmlError, match="id-slot: there is no slot 4; the last one is 3"):
        run(placed(graph, 4), SEA)


def test_no_more_is_computed_than_may_be_made(served: tuple[GgmlBackend, GgmlGraph]) -> None:
    backend, graph = served
    context = graph.context()
    context.set_input(1, 1, b'{"single-limit": 3}')
    context.set_input(0, 1, SEA)
    said = [context.compute_single() for _ in range(4)]
    assert said == [*[NnErrno.SUCCESS] * 3, NnErrno.END_OF_SEQUENCE]
    (counters,) = backend.counters().values()
    assert counters.generated_tokens == 3
    assert json.loads(context.output(1))["output_tokens"] == 3
    assert not any(each.busy for each in backend.slots())
