"""Which tokens a step computes."""

from typing import Any, cast

import numpy as np
import pytest

from llamaedge_host.ggml.engine.arrivals import Arrivals
from llamaedge_host.ggml.engine.cache import Cache
from llamaedge_host.ggml.engine.scheduler import PATIENT, SWAPPING, TURN, Part, Scheduler, SwapRoom
from llamaedge_host.ggml.engine.sequence import Limits, Sequence
from llamaedge_host.ggml.engine.swap import Swap, Swapped


class Memory:
    """The memory of a context that can be cut anywhere."""

    unified = False

    def reusable(self, cached: int, first: int, count: int) -> int:
        return count

    def first(self, sequence: int) -> int:
        return 0

    def first_saved(self, sequence: int, cached: int) -> int:
        return 0


def sequence(length: int, *, limits: Limits | None = None, place: int | None = None) -> Sequence:
    unused = cast(Any, None)
    return Sequence(
        [*range(length)],
        unused,
        unused,
        limits or Limits(),
        capacity=4096,
        stream=False,
        arrivals=Arrivals(),
        place=place,
    )


def running(*lengths: int) -> Scheduler:
    """A scheduler of sequences with prompts of so many tokens left, in the order they began."""
    cache = Cache(len(lengths), Memory(), Swap(0))
    scheduler = Scheduler(cache, SwapRoom(0, 1, 1))
    for number, length in enumerate(lengths):
        made = sequence(length)
        scheduler.add(made)
        cache.occupy(cache.slots[number], made)
        scheduler.admit(made)
    return scheduler


@pytest.mark.parametrize(
    ("lengths", "room", "prompts", "counts"),
    [
        ((1, 1, 1), 512, 64, [1, 1, 1]),
        ((1, 500, 1), 512, 64, [1, 64, 1]),
        ((1, 500, 1), 32, 64, [1, 30, 1]),
        ((500, 400), 512, 64, [32, 32]),
        ((500, 20, 1), 512, 64, [44, 20, 1]),
        ((500, 400, 20, 300), 512, 64, [32, 0, 20, 12]),
        ((20, 400, 500), 512, 64, [20, 44, 0]),
        ((500, 10, 12), 512, 64, [42, 10, 12]),
    ],
)
def test_a_step_is_shared_out(
    lengths: tuple[int, ...], room: int, prompts: int, counts: list[int]
) -> None:
    scheduler = running(*lengths)
    planned = {part.sequence.slot: part.count for part in scheduler.plan(room, prompts)}
    assert [planned.get(number, 0) for number in range(len(lengths))] == counts


def decoding_long(*sequences: Sequence) -> Scheduler:
    """A scheduler of ``sequences`` that have their slots for 50 seconds, as many as there are."""
    cache = Cache(len(sequences), Memory(), Swap(1 << 20))
    scheduler = Scheduler(cache, SwapRoom(2, 1, 1))
    for number, each in enumerate(sequences):
        scheduler.add(each)
        cache.occupy(cache.slots[number], each)
        scheduler.admit(each)
        each.position = 0
        assert scheduler.computed(Part(each, 1))
        each.since -= 50
    return scheduler


def test_a_turn_lasts_as_long_as_swapping_is_worth() -> None:
    decoding = [sequence(1), sequence(1)]
    scheduler = decoding_long(*decoding)
    waiting = sequence(1)
    scheduler.add(waiting)
    assert scheduler.victim() is None
    waiting.since -= PATIENT * TURN
    assert scheduler.victim() is decoding[0]
    scheduler.swap_seconds = 60 * SWAPPING / 2
    assert scheduler.victim() is None
    decoding[1].since -= 50
    assert scheduler.victim() is decoding[1]


@pytest.mark.parametrize(
    ("left", "place", "leaves"),
    [(None, None, True), (11, None, True), (10, None, False), (10, 1, False), (10, 0, True)],
)
def test_none_leaves_its_slot_where_one_is_to_be_free_soon(
    left: int | None, place: int | None, leaves: bool
) -> None:
    """Two that have their slots for long, the second of which may make ``left`` tokens more."""
    scheduler = decoding_long(sequence(1), sequence(1, limits=Limits(tokens=left)))
    waiting = sequence(1, place=place)
    waiting.since -= PATIENT * TURN
    scheduler.add(waiting)
    scheduler.step_seconds = TURN / 10
    assert (scheduler.victim() is not None) is leaves


@pytest.mark.parametrize(
    ("room", "leave"), [(0, 0), (40, 0), (50, 1), (100, 2), (150, 3), (1000, 3)]
)
def test_as_many_take_turns_as_the_swap_holds(room: int, leave: int) -> None:
    """Three slots, and sequences of 50 tokens in a context of 1,000 that takes 1,000 bytes."""
    cache = Cache(3, Memory(), Swap(room))
    scheduler = Scheduler(cache, SwapRoom(room, 1000, 1000))
    made = [sequence(50) for _ in range(12)]
    begun, left = set(), 0
    for each in made:
        scheduler.add(each)
    for _ in range(60):
        while (admissible := scheduler.admissible()) is not None:
            each, choice = admissible
            cache.occupy(choice.slot, each)
            scheduler.admit(each)
            begun.add(made.index(each))
        left = max(left, len(scheduler.preempted))
        for part in scheduler.plan(512, 512):
            scheduler.computed(part)
        for each in scheduler:
            each.since -= 50
        while (victim := scheduler.victim()) is not None:
            scheduler.preempt(victim)
    assert begun == set(range(3 + leave))
    assert left == leave


TALK = [*range(200)]
OTHER = [*range(1000, 1200)]


@pytest.mark.parametrize(
    ("held", "used", "swapped", "slot", "source", "common"),
    [
        # the slot that holds the beginning
        ([OTHER, TALK[:100], []], [], [], 1, 1, 100),
        # little is lost: taken over; much: copied to an empty slot
        ([TALK[:150] + OTHER[:50], [], []], [], [], 0, 0, 150),
        ([TALK[:100] + OTHER, [], []], [], [], 1, 0, 100),
        # nothing to go on from: an empty slot, beside the one in use
        ([OTHER, [], [], []], [2], [], 1, 1, 0),
        # what a slot in use holds is copied beside it
        ([[], [], TALK[:100]], [2], [], 1, 2, 100),
        # what was swapped out comes back
        ([OTHER, [], []], [], [TALK[:120]], 1, "swapped", 120),
        # a copy that saves too little is not made
        ([OTHER, TALK[:10] + OTHER, []], [], [], 2, 2, 0),
    ],
)
def test_a_prompt_finds_its_place(
    held: list[list[int]],
    used: list[int],
    swapped: list[list[int]],
    slot: int,
    source: int | str,
    common: int,
) -> None:
    swap = Swap(1 << 20)
    for tokens in swapped:
        swap.add(Swapped(tokens, 0, np.zeros(8, np.uint8)))
    cache = Cache(len(held), Memory(), swap)
    for each, tokens in zip(cache.slots, held, strict=True):
        each.tokens = tokens
        if each.index in used:
            inside = sequence(1)
            inside.tokens, inside.position = [*tokens, 0], len(tokens)
            cache.occupy(each, inside)
    choice = cache.choose(TALK)
    assert choice is not None
    found = "swapped" if isinstance(choice.source, Swapped) else choice.source.index
    assert (choice.slot.index, found, choice.common) == (slot, source, common)
