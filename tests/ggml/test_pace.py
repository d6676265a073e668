"""What a KV cache's copies cost where a model is computed faster than they are made."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.engine import pace as paces
from llamaedge_host.ggml.engine.cache import Cache
from llamaedge_host.ggml.engine.engine import Engine
from llamaedge_host.ggml.engine.pace import LITTLE, MOVED_FOR, Pace
from llamaedge_host.ggml.engine.swap import Swap
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.ggml.llama.context import State
from llamaedge_host.nn import Target

from .conftest import run
from .test_scheduler import Memory

MB = 1 << 20
KEYS = {"threads": 1, "temp": 0, "n-predict": 24, "ctx-size": 512, "ignore-eos": True}
ONE = b"the sea and the bird and the sea and a bird and the sea"
OTHERS = [f"a {word} and {word} the {word}".encode() * 3 for word in ("bed", "cab", "dad")]


def measured(*, rate: float, copied: float, step: float = 0.01) -> Pace:
    """One that read ``rate`` tokens a second and copied so many bytes in one."""
    made = Pace()
    made.read(1000, 1000 / rate)
    made.copied(100 * MB, 100 * MB / copied)
    made.decoded(step)
    return made


def test_nothing_is_known_to_cost_anything_at_first() -> None:
    pace = Pace()
    assert pace.copying(1 << 40) == 0
    assert pace.pays(1 << 40, 1)
    assert pace.may_move(1 << 40)


@pytest.mark.parametrize(
    ("rate", "copied", "size", "pays"),
    [
        (300, 5e9, 4 * MB, True),  # 160 tokens of a small model, on a CPU
        (20, 5e9, 80 * MB, True),  # of a large one
        (8000, 3e9, 80 * MB, False),  # of a large one on a GPU: 27 ms to copy, 20 to compute
        (8000, 3e9, 10 * MB, True),  # with an eighth of the heads of keys and values
    ],
)
def test_what_is_computed_sooner_is_not_copied(
    rate: float, copied: float, size: int, pays: bool
) -> None:
    assert measured(rate=rate, copied=copied).pays(size, 160) is pays


def test_little_is_copied_without_a_thought() -> None:
    pace = measured(rate=1e6, copied=1e6)
    assert pace.pays(LITTLE - 1, 1)
    assert pace.may_move(LITTLE - 1)
    assert not pace.pays(LITTLE, 1)
    assert not pace.may_move(LITTLE)


def test_a_copy_that_was_disturbed_says_little() -> None:
    pace = measured(rate=300, copied=5e9)
    before = pace.copying(100 * MB)
    pace.copied(100 * MB, 10)
    assert before < pace.copying(100 * MB) < 1.2 * before


def test_copies_are_tried_again_now_and_then() -> None:
    pace = measured(rate=8000, copied=3e9)
    assert sum(pace.pays(80 * MB, 160) for _ in range(100)) > 1


def test_a_sequence_moves_if_the_steps_save_what_it_takes() -> None:
    pace = measured(rate=8000, copied=1e9, step=0.003)
    assert pace.may_move(int(MOVED_FOR * 0.003 * 1e9 / 2) - MB)
    assert not pace.may_move(int(MOVED_FOR * 0.003 * 1e9 / 2) + MB)


def test_a_prefix_is_copied_only_where_that_is_faster() -> None:
    prompt = [*range(100)]
    for copied, common in ((5e9, 99), (1e6, 0)):
        pace = measured(rate=1000, copied=copied)
        cache = Cache(2, Memory(), Swap(0), pace, token_bytes=100_000)
        cache.slots[0].tokens = [*prompt, *range(1000, 1100)]
        choice = cache.choose(prompt)
        assert choice is not None
        assert (choice.source is not choice.slot, choice.common) == (common > 0, common)


@pytest.fixture
def two(tiny_llama: Path) -> Iterator[GgmlGraph]:
    backend = GgmlBackend(parallel=2)
    graph = backend.load(tiny_llama, Target.CPU, json.dumps(KEYS))
    yield graph
    graph.close()
    backend.close()


def test_what_is_computed_sooner_is_computed_again(
    two: GgmlGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow copy, and no state is too small for it to count."""
    engine = two.engine()
    assert isinstance(engine, Engine)
    monkeypatch.setattr(paces, "LITTLE", 1)
    context = two.context()
    first = run(context, ONE)
    assert engine._pace.copying(1 << 20) == 0
    engine._pace.copied(1, 1)
    for other in OTHERS:
        run(context, other)
    assert run(context, ONE) == first
    assert engine.counters.evictions > 0
    assert engine.counters.swapped_out == 0
    context.close()


def test_what_is_kept_already_is_not_copied_again(
    two: GgmlGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = two.engine()
    assert isinstance(engine, Engine)
    context = two.context()
    copies, save = list[int](), engine._context.save

    def counted(sequence: int, size: int) -> State | None:
        copies.append(sequence)
        return save(sequence, size)

    monkeypatch.setattr(engine._context, "save", counted)

    def run_in(slot: int, prompt: bytes) -> None:
        context.set_input(1, 0, json.dumps({"id-slot": slot}).encode())
        run(context, prompt)

    for slot in (0, 1):
        run_in(slot, ONE)
    copies.clear()
    for slot in (0, 1):
        run_in(slot, OTHERS[slot])
    assert engine.counters.evictions == 2
    assert len(copies) == engine.counters.swapped_out == 1
    context.close()
