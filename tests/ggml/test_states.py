"""A sequence's states: one table of what follows what, and one place for each."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_host.ggml.engine.arrivals import Arrivals
from llamaedge_host.ggml.engine.cache import Cache
from llamaedge_host.ggml.engine.scheduler import Scheduler, SwapRoom
from llamaedge_host.ggml.engine.sequence import FOLLOWS, LOOKAHEAD, Limits, Sequence, State
from llamaedge_host.ggml.engine.swap import Swap

from .test_scheduler import Memory

IN_A_SLOT = {State.PREFILLING, State.DECODING}


class Sampler:
    """What a sequence frees at its end."""

    def seen(self) -> None: ...

    def close(self) -> None: ...


def sequence(length: int) -> Sequence:
    return Sequence(
        [*range(length)],
        cast(Any, Sampler()),
        cast(Any, None),
        Limits(ignore_end=True),
        capacity=4096,
        stream=True,
        arrivals=Arrivals(),
    )


def test_every_state_is_reached_and_the_end_from_each() -> None:
    assert set(FOLLOWS) == set(State)
    assert set().union(*FOLLOWS.values()) == set(State) - {State.WAITING}
    assert [state for state in State if State.ENDED not in FOLLOWS[state]] == [State.ENDED]


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_only_what_the_table_has_may_follow(before: State, after: State) -> None:
    made = sequence(3)
    made.state = before
    if after in FOLLOWS[before]:
        made.become(after)
        assert made.state is after
    else:
        with pytest.raises(ValueError, match="became"):
            made.become(after)
        assert made.state is before


class Machine:
    """A scheduler of three slots, driven as an engine would."""

    def __init__(self) -> None:
        self.cache = Cache(3, Memory(), Swap(0))
        self.scheduler = Scheduler(self.cache, SwapRoom(3, 1, 1))
        self.made: list[Sequence] = []

    def submit(self, number: int) -> None:
        self.made.append(sequence(1 + number % 5))
        assert self.scheduler.add(self.made[-1])

    def begin_step(self, number: int) -> None:
        while (admissible := self.scheduler.admissible()) is not None:
            each, choice = admissible
            self.cache.occupy(choice.slot, each)
            each.position = choice.common
            self.scheduler.admit(each)

    def step(self, number: int) -> None:
        for part in self.scheduler.plan(64, 1 + number):
            if self.scheduler.computed(part):
                part.sequence.accept(7)
                part.sequence.hand_over()
                self.scheduler.pause_if_ahead(part.sequence)

    def preempt(self, number: int) -> None:
        """Make a paused or decoding sequence leave its slot, as ``victim`` would choose them."""
        able = [each for each in self.made if each.slot >= 0 and each.state is not State.PREFILLING]
        for each in able[number % (len(able) + 1) :][:1]:
            self.scheduler.preempt(each)

    def read(self, number: int) -> None:
        """Let a guest take all there is."""
        for each in self.made[number % (len(self.made) + 1) :][:1]:
            while not each.handed.empty():
                each.take(self)
            assert each.lead == 0 or each.ended

    def resume(self, sequence: Sequence) -> None:
        self.scheduler.resume(sequence)

    def end(self, number: int) -> None:
        going = list(self.scheduler)
        for each in going[number % (len(going) + 1) :][:1]:
            self.scheduler.end(each)
            each.end(None)

    def check(self) -> None:
        scheduler = self.scheduler
        places = {
            "waiting": ({State.WAITING}, scheduler.waiting),
            "preempted": ({State.PREEMPTED}, scheduler.preempted),
            "running": (IN_A_SLOT, scheduler.running),
            "paused": ({State.PAUSED}, scheduler.paused),
        }
        for states, there in places.values():
            expected = [each for each in self.made if each.state in states]
            assert sorted(map(id, there)) == sorted(map(id, expected))
        slots = [each.slot for each in scheduler.running]
        assert slots == sorted(slots)
        for each in self.made:
            assert each.slot >= 0 or each.state not in IN_A_SLOT
            assert each.slot < 0 or each.state in {*IN_A_SLOT, State.PAUSED}
            assert each.state is not State.DECODING or each.lead < LOOKAHEAD
        inside = {slot.index for slot in self.cache.slots if slot.sequence is not None}
        assert inside == {each.slot for each in self.made} - {-1}


EVENTS = ("submit", "begin_step", "step", "step", "step", "preempt", "read", "end")


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 9)), max_size=80))
def test_each_sequence_is_where_its_state_says(events: list[tuple[str, int]]) -> None:
    machine = Machine()
    for event, number in events:
        getattr(machine, event)(number)
        machine.check()
