"""Any schedule of sequences gives each the text that llama.cpp alone would give it."""

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Empty

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamaedge_host.ggml.engine import placement, scheduler
from llamaedge_host.ggml.engine.cache import Slot
from llamaedge_host.ggml.engine.engine import Engine
from llamaedge_host.ggml.engine.sequence import End, Limits, Sequence
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.ggml.llama.library import llama
from llamaedge_host.ggml.sampling.chain import Sampling
from llamaedge_host.ggml.sampling.sampler import Sampler
from llamaedge_host.nn import NnErrno

from .conftest import Load
from .greedy import Greedy

CELLS = 256
RELEASED = "released"
"""The cells that a slot loses are given back, however few they are."""
TIE = 0.05
"""Logits that near are equal but for the order of sums in half precision; a wrong cache errs by
one and more."""
PATIENCE = 30.0  # seconds after which a sequence is taken to wait for ever
SEA = b"the sea and the sea and the sea and a bird"
PROMPTS = (SEA * 2, SEA + b"xyz" * 10, b"bird " * 9, SEA[::-1])

REQUEST = st.tuples(
    st.integers(0, len(PROMPTS) - 1),
    st.integers(1, 80),  # how much of the prompt, bytes
    st.integers(1, 30),  # tokens
    st.sampled_from(["whole", "stream", "pause", "cancel", "overdue"]),
)
SCHEDULE = st.lists(st.lists(REQUEST, min_size=1, max_size=4), min_size=1, max_size=7)


@dataclass
class Machine:
    """An engine of four slots that preempts after each token, and llama.cpp alone."""

    graph: GgmlGraph
    engine: Engine
    alone: Greedy

    def sequence(self, prompt: bytes, limits: Limits, *, stream: bool) -> Sequence:
        vocabulary = self.graph.model.vocabulary
        sampler = Sampler(vocabulary, Sampling.of(self.graph.settings, vocabulary, CELLS))
        return Sequence(
            vocabulary.tokenize(prompt),
            sampler,
            vocabulary,
            limits,
            capacity=CELLS,
            stream=stream,
            arrivals=self.engine.arrivals,
        )

    def serve(self, request: tuple[int, int, int, str]) -> Sequence:
        """Run one request to its end, as a guest would."""
        number, length, most, how = request
        limits = Limits(tokens=most, ignore_end=True, seconds=0.02 if how == "overdue" else 1e9)
        sequence = self.sequence(PROMPTS[number][:length], limits, stream=how != "whole")
        self.engine.submit(sequence)
        for made in range(most):
            if how == "cancel" and made > most // 2:
                self.engine.cancel(sequence)
                break
            if how == "pause" and made % 8 == 1:
                time.sleep(0.005)
            if isinstance(end := sequence.take(self.engine, PATIENCE), End):
                assert end.errno is NnErrno.END_OF_SEQUENCE
                break
        return sequence

    def settle(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while any(self.busy) and time.monotonic() < deadline:
            time.sleep(0.002)
        assert not any(self.busy)

    @property
    def busy(self) -> list[bool]:
        waiting = self.engine._scheduler
        return [bool(list(waiting)), *(slot.sequence is not None for slot in self.slots)]

    @property
    def slots(self) -> list[Slot]:
        return self.engine._cache.slots

    def cells(self) -> list[int]:
        """How many tokens the cache of each slot really holds."""
        memory = self.engine._context.memory
        return [1 + int(llama.llama_memory_seq_pos_max(memory, each.index)) for each in self.slots]


@pytest.fixture(
    params=[
        ("tiny_llama", {}),
        ("tiny_llama", {"kv_unified": True}),
        ("tiny_llama", {"cache_ram": 0}),
        ("tiny_gemma", {}),
        ("tiny_gemma", {"kv_unified": True}),
        ("tiny_mamba", {}),
        ("tiny_lfm2", {}),
        ("tiny_lfm2", {"kv_unified": True}),
        ("tiny_llama", {"batch_size": 256}),
    ],
    ids=[
        "llama",
        "unified",
        "no swap",
        "window",
        "window unified",
        "recurrent",
        "hybrid",
        "hybrid unified",
        RELEASED,
    ],
)
def machine(
    request: pytest.FixtureRequest, load: Load, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine]:
    name, keys = request.param
    if request.node.callspec.id == RELEASED:
        monkeypatch.setattr(placement, "RELEASED", 1)
        monkeypatch.setattr(placement, "KEPT", 0)
    path: Path = request.getfixturevalue(name)
    monkeypatch.setattr(scheduler, "TURN", 0.0)
    monkeypatch.setattr(scheduler, "SWAPPING", math.inf)
    graph = load(path, ctx_size=CELLS, **keys)
    engine = graph.engine()
    assert isinstance(engine, Engine)
    alone = Greedy(path, CELLS)
    yield Machine(graph, engine, alone)
    alone.close()


@settings(
    max_examples=20,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(SCHEDULE)
def test_any_schedule_gives_each_its_own_text(
    machine: Machine, schedule: list[list[tuple[int, int, int, str]]]
) -> None:
    def guest(requests: list[tuple[int, int, int, str]]) -> list[Sequence]:
        return [machine.serve(request) for request in requests]

    try:
        with ThreadPoolExecutor(len(schedule)) as pool:
            served = [each for made in pool.map(guest, schedule) for each in made]
    except Empty:
        pytest.fail("a sequence waits for ever")
    machine.settle()
    assert machine.cells() == [len(slot.tokens) for slot in machine.slots]
    for sequence in served:
        if sequence.made:
            assert machine.alone.shortfall(sequence.tokens, sequence.prompt_length).max() < TIE


def test_the_check_tells_a_wrong_text(machine: Machine) -> None:
    sequence = machine.serve((0, 80, 20, "whole"))
    worst = machine.alone.shortfall([*sequence.tokens[:-10], 77, *sequence.tokens[-9:]],
                                    sequence.prompt_length).max()  # fmt: skip
    assert worst > 10 * TIE
