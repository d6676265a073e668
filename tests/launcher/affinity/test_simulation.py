"""The cluster on paper of tests/bench/simulated.py."""

import random
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))

import simulated
from simulated import Cluster, Costs, Router, Seen, Traffic

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


def test_a_lone_request_takes_what_its_tokens_do() -> None:
    seen = run(simulated.by_chance(random.Random(1)), rate=0.0005, machines=1)
    other = run(simulated.by_chance(random.Random(1)), rate=0.002, machines=1)
    for each in (seen, other):
        assert all(first >= 1 / COSTS.prefill for first in each.first)
    assert COSTS.gain(1) == 1
    assert COSTS.gain(8) == pytest.approx(1.41) == COSTS.gain(20)


def test_a_full_queue_refuses() -> None:
    router = simulated.by_prefix(COSTS)
    assert run(router, rate=1.0).refused == 0
    seen = run(simulated.by_prefix(COSTS), rate=1.0, queue=2)
    assert seen.refused > 0
    assert seen.quantile(0.99) < run(simulated.by_prefix(COSTS), rate=1.0).quantile(0.99)
