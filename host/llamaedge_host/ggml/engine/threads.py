"""How many threads a step takes, by how long steps took.

llama.cpp's threads wait for each other many times a step, so one that shares its CPU with another
process slows all of them down, and fewer threads may be faster. If other work takes CPUs, or steps
stall where nothing tells of that, a few are tried with fewer threads, later now and then with more,
and the fastest number stays. A step stalls that has more threads than there are CPUs for, so that
more are tried only where CPUs were idle, if the system tells that.
"""

from dataclasses import dataclass

from ..llama.contention import IdleCpus

WINDOW = 8
"""Steps by which the present number of threads is judged, if it is the one that was asked for."""
TRIAL = 4
"""Steps that another number is tried for, after one to settle, and by which it is judged."""
STALLED = 1.4
"""How many times as long as usual a step takes that stalls."""
IDLE = 0.8
"""The part of its threads' time that a step computes at least, if no thread lacks a CPU."""
HOPELESS = 2.0
"""How many times as long as before a step takes that ends the trial of a number at once."""
FASTER = 0.95
"""The part of the time that another number must do with to be taken."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 4.0
"""Seconds of steps between trials: twice as long after each that changes nothing."""
LOOK, NEXT_LOOK = 0.1, 0.5
"""Seconds of steps in which CPUs must be idle before more threads are tried, and between two such
looks at most."""
ROOM = 0.5
"""The part of the CPUs for further threads that must be idle."""
_LEARNING = 0.05


@dataclass
class _Steps:
    """Steps with one number of threads: how many, their cost, seconds, and seconds of CPU."""

    count: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    cpu: float = 0.0


class Threads:
    """Chooses a number of threads up to ``most``: ``count`` is that of the next step.

    Without ``idle`` nothing tells of idle CPUs.
    """

    def __init__(self, most: int, idle: IdleCpus | None = None) -> None:
        self.most = most
        self._idle = idle
        self._looks_until: float | None = None
        """Of the seconds of steps; None if it does not look."""
        self._ladder = ladder(most)
        self._rung = 0
        self._usual: dict[int, float] = {}
        """Seconds of a step, by its rows: what makes steps of different rows comparable."""
        self._steps = _Steps()
        self._costs: dict[int, float] = {}
        """The cost of each rung tried; the first is where the trial began. Empty: no trial."""
        self._untried: list[int] = []
        self._since = 0.0
        self._wait = FIRST_WAIT
        self._contended: bool | None = None

    @property
    def count(self) -> int:
        """Threads of the next step."""
        return self._ladder[self._rung]

    def took(self, rows: int, seconds: float, cpu: float, *, contended: bool | None) -> None:
        """A step that decoded ``rows`` tokens took ``seconds``, and ``cpu`` seconds of CPUs.

        ``contended`` is whether other work takes CPUs, None if that is unknown.
        """
        if len(self._ladder) == 1:
            return
        self._contended = contended
        usual = self._usual.setdefault(rows, seconds)
        steps = self._steps
        steps.count += 1
        if self._costs:
            self._try(steps, seconds / usual)
            return
        steps.cost += seconds / usual
        steps.seconds += seconds
        steps.cpu += cpu
        self._usual[rows] += (seconds - usual) * _LEARNING
        if steps.count == (TRIAL if self._rung else WINDOW):
            self._judge(steps)

    def _try(self, steps: _Steps, cost: float) -> None:
        if cost > HOPELESS * next(iter(self._costs.values())):
            self._costs[self._rung] = cost
            self._untried = [rung for rung in self._untried if rung < self._rung]
            self._try_next()
        elif steps.count > 1:  # not the one for which threads were made, or woken
            steps.cost += cost
            if steps.count > TRIAL:
                self._costs[self._rung] = steps.cost / TRIAL
                self._try_next()

    def _judge(self, steps: _Steps) -> None:
        """Begin a trial if the last steps stalled, or fewer threads than asked for compute."""
        self._steps = _Steps()
        self._since += steps.seconds
        cost = steps.cost / steps.count
        stalled = bool(self._contended)
        if self._contended is None:
            stalled = cost > STALLED or steps.cpu < IDLE * self.count * steps.seconds
        if not (stalled or self._rung):
            self._since = 0.0
        elif self._since >= self._wait and self._has_looked():
            self._begin(cost, stalled=stalled)

    def _has_looked(self) -> bool:
        """Whether it is known if CPUs are idle, where that matters; if not, look from now on."""
        if self._looks_until is not None:
            return self._since >= self._looks_until
        if not self._rung or self._idle is None or not self._idle.look():
            return True
        self._looks_until = self._since + LOOK
        return False

    def _begin(self, cost: float, *, stalled: bool) -> None:
        """Try other numbers than the present one, with which a step costs ``cost``."""
        self._costs = {self._rung: cost}
        self._untried = list(range(self._rung + 1, len(self._ladder))) if stalled else []
        if self._rung and not self._lacks_room():
            self._untried.append(self._rung - 1)
        if self._untried:
            self._try_next()
        else:
            self._costs.clear()
            self._since, self._wait = 0.0, min(2 * self._wait, NEXT_LOOK)

    def _lacks_room(self) -> bool:
        """Whether it looked, and too few CPUs were idle for the next larger number of threads."""
        looked, self._looks_until = self._looks_until, None
        if looked is None or self._idle is None:
            return False
        further = self._ladder[self._rung - 1] - self._ladder[self._rung]
        return self._idle.cpus() < ROOM * further

    def _try_next(self) -> None:
        self._steps = _Steps()
        if self._untried:
            self._rung = self._untried.pop(0)
            return
        before = next(iter(self._costs))
        best = min(self._costs, key=self._costs.__getitem__)
        back = best < before and self._contended is False
        if self._costs[best] > FASTER * self._costs[before] and not back:
            best = before
        self._wait = FIRST_WAIT if best != before else min(2 * self._wait, LONGEST_WAIT)
        self._since = 0.0
        self._rung = best
        self._costs.clear()


def ladder(most: int) -> list[int]:
    """The numbers of threads that are tried, ``most`` first, 1 last."""
    rungs = {most, most - 1, most * 3 // 4, most // 2, most // 4, 1}
    return sorted((rung for rung in rungs if rung > 0), reverse=True)
