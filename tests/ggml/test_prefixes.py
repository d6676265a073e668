"""Prompts in order: what is found is what a look at all of them finds, and few are looked at."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_host.ggml.engine import cache
from llamaedge_host.ggml.engine.cache import Cache, common_prefix
from llamaedge_host.ggml.engine.prefixes import Prefixes
from llamaedge_host.ggml.engine.states import Stored
from llamaedge_host.ggml.engine.store import Store
from llamaedge_host.ggml.engine.swap import Swap, Swapped
from llamaedge_host.ggml.llama.adapters import Scales

from .test_scheduler import Memory

TALK = st.lists(st.integers(0, 2), min_size=1, max_size=6)
SCALES = st.sampled_from([(), (1.0,)])
FEW = 20
"""Comparisons at most where there are 10,000 entries: one for each halving, and some."""


@dataclass(frozen=True, eq=False)
class Entry:
    tokens: list[int]
    adapters: Scales = ()


def kept(talks: list[tuple[list[int], Scales]]) -> Prefixes[Entry]:
    """As a store keeps them: what goes on from another takes its place."""
    prefixes = Prefixes[Entry]()
    for tokens, adapters in talks:
        if prefixes.holding(tokens, adapters) is None:
            if (begun := prefixes.begun(tokens, adapters)) is not None:
                prefixes.remove(begun)
            prefixes.add(Entry(tokens, adapters))
    return prefixes


@given(st.lists(st.tuples(TALK, SCALES), max_size=40), TALK, SCALES)
def test_what_is_found_is_what_a_look_at_all_finds(
    talks: list[tuple[list[int], Scales]], asked: list[int], adapters: Scales
) -> None:
    prefixes = kept(talks)
    entries = [each for each in prefixes if each.adapters == adapters]
    assert {tuple(each.tokens) for each in entries} == {
        tuple(one)
        for one, scales in talks
        if scales == adapters
        and not any(
            other[: len(one)] == one and other != one for other, same in talks if same == scales
        )
    }
    near = prefixes.nearest(asked, adapters)
    assert len(near) <= 2
    assert most_shared(near, asked) == most_shared(entries, asked)
    holding = [each for each in entries if each.tokens[: len(asked)] == asked]
    found = prefixes.holding(asked, adapters)
    assert (found in holding) if holding else found is None
    begun = [each for each in entries if asked[: len(each.tokens)] == each.tokens]
    assert [prefixes.begun(asked, adapters)] == (begun or [None])
    for each in entries:
        prefixes.remove(each)
    assert not prefixes.nearest(asked, adapters)


def most_shared(entries: list[Entry], asked: list[int]) -> int:
    return max((common_prefix(each.tokens, asked, len(asked)) for each in entries), default=0)


class Counted(list[int]):
    """Tokens that count how often their order is asked for."""

    asked = 0

    def __lt__(self, other: list[int]) -> bool:
        Counted.asked += 1
        return list.__lt__(self, other)


def talks(count: int) -> list[list[int]]:
    """Conversations of one beginning."""
    random = np.random.default_rng(1)
    return [Counted([*range(50), *random.integers(100, 200, 8).tolist()]) for _ in range(count)]


def swapped(count: int, _: Path) -> Cache:
    swap = Swap(count)
    for tokens in talks(count):
        swap.add(Swapped(tokens, 0, np.zeros(1, np.uint8)))
    return Cache(4, Memory(), swap)


def stored(count: int, folder: Path) -> Cache:
    made = Cache(4, Memory(), Swap(0))
    made.store = Store(folder, 1, "0" * 64, 4096)
    for number, tokens in enumerate(talks(count)):
        made.store._add(Stored(folder / str(number), tokens, 0, 1))
    return made


@pytest.mark.parametrize("make", [swapped, stored])
def test_an_admission_looks_at_few_however_many_there_are(
    make: Callable[[int, Path], Cache], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def counting(one: list[int], other: list[int], limit: int) -> int:
        looked.append(1)
        return common_prefix(one, other, limit)

    monkeypatch.setattr(cache, "common_prefix", counting)
    seen = []
    for count in 100, 10_000:
        made = make(count, tmp_path)
        looked.clear()
        Counted.asked = 0
        choice = made.choose([*range(50), 150, 1])
        assert choice is not None
        assert choice.common >= 50
        seen.append((len(looked), Counted.asked))
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] < seen[1][1] < FEW
