"""The number of threads, on machines that are made up: no test here measures time."""

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from llamaedge_host.ggml.engine.threads import (
    FIRST_WAIT,
    LONGEST_WAIT,
    WINDOW,
    Threads,
    ladder,
)
from llamaedge_host.ggml.llama.contention import IdleCpus


@dataclass
class Machine:
    """CPUs, of which other processes keep ``busy`` ones: steps stall with threads on those."""

    cpus: int
    busy: int = 0
    noise: float = 0.1
    gpu: bool = False
    share: float = 0.97  # of their time that threads compute
    serial: float = 0.3  # of the work, which no further thread speeds up
    tells: bool = False  # whether it is known that others take CPUs
    seconds: float = 0.0
    idled: float = 0.0  # seconds of CPUs that nobody used
    used: Counter[int] = field(default_factory=Counter)
    _random: random.Random = field(default_factory=lambda: random.Random(1))

    def step(self, threads: int, rows: int) -> tuple[float, float]:
        """Seconds of a step, and seconds of CPU."""
        work = 0.01 * (1 + rows / 8)
        if self.gpu:
            return work, work / 10
        stalled = threads > self.cpus - self.busy
        seconds = work * (self.serial + (1 - self.serial) / threads)
        seconds *= self._random.uniform(1, 1 + self.noise)
        if stalled:
            seconds *= self._random.choice((1.5, 2.0, 4.0))
        return seconds, seconds * threads * (0.6 if stalled else self.share)

    def told(self, threads: int) -> bool | None:
        """What is known of other work."""
        return threads > self.cpus - self.busy if self.tells else None

    def run(self, threads: Threads, steps: int, rows: tuple[int, ...] = (1, 8, 7)) -> float:
        """Seconds that ``steps`` steps take; ``used`` counts them by their threads."""
        self.used.clear()
        before = self.seconds
        for _ in range(steps):
            count = threads.count
            assert 1 <= count <= self.cpus
            number = self._random.choice(rows)
            seconds, cpu = self.step(count, number)
            self.used[count] += 1
            self.seconds += seconds
            self.idled += max(self.cpus - self.busy - count, 0) * seconds
            threads.took(number, seconds, cpu, contended=self.told(count))
        return self.seconds - before


class Idle(IdleCpus):
    """What tells of a made-up machine's idle CPUs."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def look(self) -> bool:
        self._since, self._before = self._machine.seconds, self._machine.idled
        return True

    def cpus(self) -> float:
        return (self._machine.idled - self._before) / (self._machine.seconds - self._since)


@pytest.mark.parametrize("cpus", [1, 2, 4, 16])
def test_a_quiet_machine_computes_with_all(cpus: int) -> None:
    machine, threads = Machine(cpus), Threads(cpus)
    machine.run(threads, 3000)
    assert machine.used[cpus] > 0.99 * 3000


@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.parametrize(("cpus", "busy"), [(2, 1), (4, 1), (4, 2), (16, 1), (16, 4)])
def test_busy_cpus_are_left_to_others(cpus: int, busy: int, tells: bool) -> None:
    machine, threads = Machine(cpus, busy, tells=tells), Threads(cpus)
    machine.run(threads, 300)
    taken = machine.run(threads, 3000)
    free = max(rung for rung in ladder(cpus) if rung <= cpus - busy)
    assert machine.used[free] > 0.9 * 3000
    stalling = Machine(cpus, busy).run(Threads(1), 3000) if free == 1 else 0.0
    assert not stalling or taken < 1.1 * stalling


@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.parametrize("cpus", [2, 4, 16])
def test_it_comes_back_when_they_are_free_again(cpus: int, tells: bool) -> None:
    machine, threads = Machine(cpus, busy=1, tells=tells), Threads(cpus)
    machine.run(threads, 3000)
    assert threads.count < cpus
    machine.busy = 0
    gone = machine.seconds
    while machine.seconds - gone < 2 * LONGEST_WAIT:
        machine.run(threads, 10)
    assert not tells or threads.count == cpus
    quiet = Machine(cpus).run(Threads(cpus), 1000)
    assert machine.run(threads, 1000) < 1.05 * quiet


@pytest.mark.parametrize(("cpus", "busy"), [(2, 1), (4, 1), (4, 2), (16, 1), (16, 4)])
def test_more_are_not_tried_while_no_cpu_is_idle(cpus: int, busy: int) -> None:
    machine = Machine(cpus, busy, tells=True)
    threads = Threads(cpus, Idle(machine))
    machine.run(threads, 1000)
    machine.run(threads, 3000)
    assert all(count <= cpus - busy for count in machine.used)
    machine.busy = 0
    gone = machine.seconds
    while threads.count < cpus and machine.seconds - gone < 3 * len(ladder(cpus)) * LONGEST_WAIT:
        machine.run(threads, 10)
    assert threads.count == cpus


@pytest.mark.parametrize("cpus", [2, 4, 16])
def test_nothing_is_tried_where_nobody_takes_the_cpus(cpus: int) -> None:
    machine, threads = Machine(cpus, share=0.5, noise=4.0, tells=True), Threads(cpus)
    machine.run(threads, 3000)
    assert machine.used == {cpus: 3000}


def test_other_work_for_a_moment_is_no_reason_to_try() -> None:
    machine, threads = Machine(2, tells=True), Threads(2)
    for _ in range(50):
        machine.busy = 1
        before = machine.seconds
        while machine.seconds - before < 0.5 * FIRST_WAIT:
            machine.run(threads, 1)
            assert threads.count == 2
        machine.busy = 0
        machine.run(threads, WINDOW)


def test_a_burst_of_other_work_costs_few_steps_more() -> None:
    machine, threads = Machine(2), Threads(2)
    machine.run(threads, 3000, (8,))
    machine.busy = 1
    machine.run(threads, 8, (8,))
    assert threads.count == 1
    machine.busy = 0
    machine.run(threads, 60, (8,))
    assert machine.used[1] < 20
    assert threads.count == 2


def test_a_process_that_comes_is_made_place_for_soon() -> None:
    machine, threads = Machine(2), Threads(2)
    machine.run(threads, 3000)
    machine.busy = 1
    machine.run(threads, 100)
    assert threads.count == 1


@pytest.mark.parametrize("rows", [(1,), (8,), (1, 2, 3, 4, 5, 6, 7, 8)])
def test_steps_of_any_size_are_compared(rows: tuple[int, ...]) -> None:
    machine, threads = Machine(2, busy=1), Threads(2)
    machine.run(threads, 300, rows)
    machine.run(threads, 2000, rows)
    assert machine.used[1] > 0.9 * 2000


def test_threads_that_wait_for_a_gpu_are_no_stall_to_mend() -> None:
    machine, threads = Machine(8, gpu=True), Threads(8)
    machine.run(threads, 3000, (1,))
    assert machine.used[8] > 0.9 * 3000


@pytest.mark.parametrize("cpus", [2, 8, 64])
def test_trials_in_vain_cost_little(cpus: int) -> None:
    idle = Machine(cpus, share=0.5, serial=0.02)
    taken = idle.run(Threads(cpus), 5000)
    assert idle.used[cpus] < 5000
    assert taken < 1.02 * Machine(cpus, serial=0.02).run(Threads(cpus), 5000)


def test_a_growing_context_is_no_stall() -> None:
    machine, threads = Machine(2), Threads(2)
    for step in range(4000):
        seconds, cpu = machine.step(threads.count, 1)
        machine.used[threads.count] += 1
        longer = 1 + step / 1000
        threads.took(1, seconds * longer, cpu * longer, contended=None)
    assert machine.used[2] > 0.99 * 4000
