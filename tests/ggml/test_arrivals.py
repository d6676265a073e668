"""A guest that asks its computations in turn takes what is there before it is made to wait."""

from queue import Empty
from typing import Any, cast

import pytest

from llamaedge_host.ggml.engine.arrivals import Arrivals
from llamaedge_host.ggml.engine.sequence import UNREAD, Limits, Sequence

FOREVER = 60.0
NOBODY = cast(Any, None)


class Told(Arrivals):
    """Fails a guest that is made to wait."""

    def wait(self, seen: int, timeout: float) -> None:
        raise TimeoutError


def sequence(arrivals: Arrivals) -> Sequence:
    limits = Limits(ignore_end=True)
    return Sequence([1], NOBODY, NOBODY, limits, capacity=4096, stream=True, arrivals=arrivals)


def ask(asked: Sequence) -> int | None:
    try:
        return cast(int, asked.ask(NOBODY, FOREVER))
    except Empty:
        return None


@pytest.mark.parametrize("burst", [1, 7, 32])
def test_tokens_that_come_at_once_are_taken_in_as_many_rounds(burst: int) -> None:
    arrivals = Told()
    idle, busy = sequence(arrivals), sequence(arrivals)
    idle._asked = arrivals.count  # as if asked for long
    for token in range(burst):
        busy.handed.put(token)
    arrivals.tell(burst)
    taken = []
    for _ in range(burst):
        assert ask(idle) is None
        taken.append(ask(busy))
    assert taken == [*range(burst)]
    with pytest.raises(TimeoutError):
        idle.ask(NOBODY, FOREVER)


def test_what_is_left_unread_lets_a_guest_ask_a_few_times_only() -> None:
    arrivals = Told()
    idle = sequence(arrivals)
    arrivals.tell(100_000)
    asked = 0
    with pytest.raises(TimeoutError):
        while True:
            ask(idle)
            asked += 1
    assert asked == UNREAD + 1


def test_one_that_comes_late_asks_at_once_for_what_others_have_unread() -> None:
    arrivals = Told()
    busy = sequence(arrivals)
    for token in range(3):
        busy.handed.put(token)
        arrivals.tell()
    late = sequence(arrivals)
    for token in range(3):
        assert ask(late) is None
        assert ask(busy) == token


def test_one_that_is_alone_asks_nothing_in_vain() -> None:
    arrivals = Told()
    arrivals.tell(100)
    arrivals.begin()
    arrivals.end()
    alone = sequence(arrivals)
    with pytest.raises(TimeoutError):
        alone.ask(NOBODY, FOREVER)
