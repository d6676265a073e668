"""The cluster on paper of tests/bench/simulated.py."""

import random
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import simpy

from llamaedge_launcher.affinity import Prefix

sys.path.append(str(Path(__file__).parents[2] / "bench"))

import simulated
from simulated import Cluster, Costs, Machine, Request, Router, Seen, Traffic

COSTS = Costs(prefill=320, decode=100, decode_8=141)


def run(router: Router, *, rate: float = 0.08, machines: int = 6, **more: float) -> Seen:
    return Cluster(
        COSTS, Traffic(rate), machines=machines, router=router, seconds=300, **more
    ).run()  # type: ignore[arg-type]


def test_affinity_reuses_more_than_chance_and_answers_sooner() -> None:
    chance = run(simulated.by_chance(random.Random(1)))
    prefix = run(simulated.by_prefix(COSTS))
    assert prefix.reused / prefix.prompt > chance.reused / chance.prompt
    assert prefix.quantile(0.5) < chance.quantile(0.5)


def test_the_same_seed_makes_the_same_figures() -> None:
    assert run(simulated.by_prefix(COSTS)) == run(simulated.by_prefix(COSTS))


def asked(*requests: tuple[float, int, int]) -> tuple[list[float], list[float]]:
    """When one machine has begun and ended to answer requests that come at a time, with so many
    tokens of a prompt and of an answer."""
    world, seen = simpy.Environment(), Seen()
    machine = Machine(world, COSTS, lambda: seen)
    ends: list[float] = []

    def ask(number: int, at: float, length: int, wanted: int) -> Generator[simpy.Event, Any, None]:
        yield world.timeout(at)
        request = Request(number, number, Prefix(b"", ()), length, wanted, 0.0, world.event())
        machine.take(request)
        yield request.done
        ends.append(world.now)

    for number, each in enumerate(requests):
        world.process(ask(number, *each))
    world.run()
    return sorted(seen.first), sorted(ends)


def test_a_lone_request_takes_what_its_tokens_do() -> None:
    """Its first token comes with the end of its prompt."""
    assert asked((0, 160, 101)) == ([0.5], [pytest.approx(1.5)])
    assert COSTS.gain(1) == 1
    assert COSTS.gain(8) == pytest.approx(1.41) == COSTS.gain(20)


def test_eight_together_take_what_was_measured() -> None:
    _, ends = asked(*[(0, 40, 142)] * 8)
    assert ends[-1] == pytest.approx(8 * 40 / COSTS.prefill + 8 * 141 / COSTS.decode_8, rel=0.01)


def test_one_that_comes_waits_for_the_step_and_stalls_nobody() -> None:
    """It reads 48 tokens beside a token of the other, in 0.15 + 0.01 s."""
    first, ends = asked((0, 16, 101), (0.105, 48, 1))
    assert first == [pytest.approx(0.05), pytest.approx(0.11 + 0.16)]
    assert ends == [pytest.approx(0.27), pytest.approx(1.05 + 0.15)]


def test_those_without_a_slot_take_turns() -> None:
    """The ninth waits four seconds and not the time of an answer."""
    first, _ = asked(*[(0, 1, 1000)] * 8, (0.1, 1, 2))
    assert 4.0 < first[-1] < 4.4


def test_a_full_queue_refuses() -> None:
    router = simulated.by_prefix(COSTS)
    assert run(router, rate=1.0).refused == 0
    seen = run(simulated.by_prefix(COSTS), rate=1.0, queue=2)
    assert seen.refused > 0
    assert seen.quantile(0.99) < run(simulated.by_prefix(COSTS), rate=1.0).quantile(0.99)
