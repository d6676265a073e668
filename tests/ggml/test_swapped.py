"""What was swapped out: found by its tokens however much there is, and forgotten in time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_host.ggml.engine.cache import common_prefix
from llamaedge_host.ggml.engine.swap import Swap, Swapped

BYTES = 8
TALKS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), max_size=40)


def entry(tokens: list[int]) -> Swapped:
    return Swapped(tokens, 0, np.zeros(BYTES, np.uint8))


def shared(one: list[int], other: list[int]) -> int:
    return common_prefix(one, other, len(other))


@given(TALKS, st.lists(st.integers(0, 2), min_size=1, max_size=6))
def test_one_of_the_nearest_shares_as_much_as_any(talks: list[list[int]], asked: list[int]) -> None:
    swap = Swap(BYTES * 100)
    for talk in talks:
        swap.add(entry(talk))
    nearest = max((shared(each.tokens, asked) for each in swap.nearest(asked)), default=0)
    assert nearest == max((shared(each.tokens, asked) for each in swap.entries), default=0)
    assert len(swap.nearest(asked)) <= 2


@given(TALKS)
def test_nothing_is_kept_that_another_goes_on_from(talks: list[list[int]]) -> None:
    swap = Swap(BYTES * 100)
    for talk in talks:
        swap.add(entry(talk))
    kept = [each.tokens for each in swap.entries]
    assert not [
        (one, other)
        for one in kept
        for other in kept
        if one is not other and other[: len(one)] == one
    ]
    assert all(any(each[: len(talk)] == talk for each in kept) for talk in talks)
    assert swap.used == BYTES * len(kept)


@given(TALKS, st.integers(0, 5))
def test_the_least_recently_used_go(talks: list[list[int]], room: int) -> None:
    swap, dropped = Swap(BYTES * room), list[Swapped]()
    swap.dropped = dropped.append
    for talk in talks:
        swap.add(entry(talk))
    assert swap.used == BYTES * len(swap.entries) <= swap.limit
    assert all(each not in swap.entries for each in dropped)


def test_what_is_taken_whole_is_gone_and_what_in_part_is_the_latest() -> None:
    swap = Swap(BYTES * 3)
    one, two, three = (entry([number, 1, 2]) for number in range(3))
    for each in (one, two, three):
        swap.add(each)
    swap.taken(one, 2)
    assert swap.entries == [two, three, one]
    swap.taken(two, 3)
    swap.taken(two, 3)
    assert swap.entries == [three, one]
    assert swap.used == 2 * BYTES
    swap.clear()
    assert (swap.entries, swap.used, swap.nearest([0])) == ([], 0, [])
