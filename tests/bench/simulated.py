"""A cluster on paper: conversations, a router, machines with their caches; in simpy's time.

A machine's work is shared by the requests that it computes, as the engine's scheduler does.
Times are in seconds, lengths in tokens.
"""

import math
import random
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import simpy

from llamaedge_launcher.affinity import Placement, Prefix

BLOCK = 64  # tokens, as affinity's 256 bytes are


@dataclass(frozen=True)
class Costs:
    """What a machine does: ``prefill`` tokens a second; ``decode`` of one stream and of eight."""

    prefill: float
    decode: float
    decode_8: float
    slots: int = 8
    cache: int = 32_768

    def gain(self, running: int) -> float:
        """Tokens a second of so many streams together, of those of one."""
        most = self.decode_8 / self.decode
        return 1 + (most - 1) * (min(running, 8) - 1) / 7


@dataclass(frozen=True)
class Traffic:
    """Conversations, ``rate`` a second for each machine; means but for ``system`` and ``systems``.

    Each begins with one of ``systems`` system prompts, a few of which most have.
    """

    rate: float
    turns: float = 5
    pause: float = 30
    asked: int = 40
    answered: int = 60
    system: int = 384
    systems: int = 50


@dataclass
class Seen:
    """What became of the requests that came after the first ``ignored`` seconds."""

    first: list[float] = field(default_factory=list)
    prompt: int = 0
    reused: int = 0
    made: int = 0
    answered: int = 0
    refused: int = 0
    seconds: float = 0.0

    def quantile(self, share: float) -> float:
        ordered = sorted(self.first)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else math.nan


@dataclass(eq=False)
class Request:
    conversation: int
    system: int
    prefix: Prefix
    length: int
    wanted: int
    came: float
    done: simpy.Event
    left: float = 0.0
    decoding: bool = False


class Machine:
    """``slots`` requests at once, the rest in a queue; a cache of what was read."""

    def __init__(self, world: simpy.Environment, costs: Costs, seen: Callable[[], Seen]) -> None:
        self._world = world
        self._costs = costs
        self._seen = seen
        self._running: list[Request] = []
        self._waiting: list[Request] = []
        self._cache: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._kept = 0
        self._since = 0.0
        self._turn = 0
        self.busy = 0.0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def load(self) -> int:
        return len(self._running) + len(self._waiting)

    def take(self, request: Request) -> None:
        self._advance()
        self._waiting.append(request)
        self._fill()
        self._plan()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._costs.slots:
            request = self._waiting.pop(0)
            known = self._known(request)
            seen = self._seen()
            seen.prompt += request.length
            seen.reused += known
            request.left = max(request.length - known, 1) / self._costs.prefill
            self._running.append(request)
            self._keep(request, request.length)

    def _known(self, request: Request) -> int:
        """The tokens of its beginning that lie in the cache."""
        found = self._cache.get(request.conversation)
        if found is not None:
            self._cache.move_to_end(request.conversation)
            return found[1]
        shared = any(system == request.system for system, _ in self._cache.values())
        return min(SYSTEM, request.length) if shared else 0

    def _keep(self, request: Request, length: int) -> None:
        known = self._cache.pop(request.conversation, (0, 0))[1]
        self._cache[request.conversation] = (request.system, length)
        self._kept += length - known
        while self._kept > self._costs.cache:
            self._kept -= self._cache.popitem(last=False)[1][1]

    def _speed(self, request: Request) -> float:
        gain = self._costs.gain(len(self._running)) if request.decoding else 1.0
        return gain / len(self._running)

    def _advance(self) -> None:
        passed, self._since = self._world.now - self._since, self._world.now
        if self._running:
            self.busy += passed
        for each in self._running:
            each.left -= passed * self._speed(each)

    def _plan(self) -> None:
        """Come again when the next request has read its prompt, or ends."""
        self._turn += 1
        if self._running:
            wait = min(max(each.left, 0.0) / self._speed(each) for each in self._running)
            self._world.process(self._later(wait, self._turn))

    def _later(self, wait: float, turn: int) -> Generator[simpy.Event, Any, None]:
        yield self._world.timeout(wait)
        if turn != self._turn:
            return
        self._advance()
        for each in [each for each in self._running if each.left <= 1e-9]:
            if each.decoding:
                self._running.remove(each)
                self._keep(each, each.length + each.wanted)
                each.done.succeed()
            else:
                each.decoding = True
                each.left = each.wanted / self._costs.decode
                self._seen().first.append(self._world.now - each.came)
        self._fill()
        self._plan()


SYSTEM = Traffic(0).system
Router = Callable[[Request, list[Machine]], int]


def by_chance(rng: random.Random) -> Router:
    return lambda request, machines: rng.randrange(len(machines))


def by_load(rng: random.Random) -> Router:
    def route(request: Request, machines: list[Machine]) -> int:
        least = min(each.load for each in machines)
        return rng.choice([n for n, each in enumerate(machines) if each.load == least])

    return route


def by_prefix(costs: Costs, slack: float = 1.25) -> Router:
    """The router of the Ray application: the same Placement."""
    placement = Placement(capacity=costs.cache // BLOCK, slack=slack)

    def route(request: Request, machines: list[Machine]) -> int:
        loads: Mapping[str, int] = {str(n): each.load for n, each in enumerate(machines)}
        chosen = next(placement.order(request.prefix, loads))
        placement.sent(request.prefix, chosen)
        return int(chosen)

    return route


class Cluster:
    """``machines`` behind one router for ``seconds``, of which the first third does not count.

    ``queue`` requests of each machine may wait; more are refused, and their conversations end.
    """

    def __init__(
        self,
        costs: Costs,
        traffic: Traffic,
        *,
        machines: int,
        router: Router,
        seconds: float,
        queue: float = math.inf,
        seed: int = 1,
    ) -> None:
        self._traffic = traffic
        self._router = router
        self._rng = random.Random(seed)
        self._world = simpy.Environment()
        self._early, self._seen = Seen(), Seen()
        self._begin = seconds / 3
        self._end = seconds
        self._most = machines * (costs.slots + queue)
        self._under_way = 0
        self._machines = [Machine(self._world, costs, self._now) for _ in range(machines)]
        self._weights = [1 / (n + 1) for n in range(traffic.systems)]

    def run(self) -> Seen:
        self._world.process(self._arrive())
        self._world.run(self._begin)
        before = sum(each.busy for each in self._machines)
        self._world.run(self._end)
        self.busy = (sum(each.busy for each in self._machines) - before) / (
            len(self._machines) * (self._end - self._begin)
        )
        self.waiting = sum(each.waiting for each in self._machines) / len(self._machines)
        self._seen.seconds = self._end - self._begin
        return self._seen

    def _now(self) -> Seen:
        return self._early if self._world.now < self._begin else self._seen

    def _arrive(self) -> Generator[simpy.Event, Any, None]:
        number = 0
        while True:
            yield self._world.timeout(
                self._rng.expovariate(self._traffic.rate * len(self._machines))
            )
            number += 1
            self._world.process(self._talk(number))

    def _talk(self, number: int) -> Generator[simpy.Event, Any, None]:
        traffic, rng = self._traffic, self._rng
        system = rng.choices(range(traffic.systems), self._weights)[0]
        length = traffic.system
        while True:
            length += 1 + int(rng.expovariate(1 / traffic.asked))
            wanted = 1 + int(rng.expovariate(1 / traffic.answered))
            if self._under_way >= self._most:
                self._now().refused += 1
                return
            done = self._world.event()
            prefix = Prefix(b"%d" % number, tuple(_blocks(system, number, length)))
            request = Request(number, system, prefix, length, wanted, self._world.now, done)
            self._under_way += 1
            self._machines[self._router(request, self._machines)].take(request)
            yield done
            self._under_way -= 1
            seen = self._now()
            seen.answered += 1
            seen.made += wanted
            length += wanted
            if rng.random() < 1 / traffic.turns:
                return
            yield self._world.timeout(rng.expovariate(1 / traffic.pause))


def _blocks(system: int, number: int, length: int) -> Iterator[bytes]:
    shared = SYSTEM // BLOCK
    for n in range(length // BLOCK):
        yield b"s%d:%d" % (system, n) if n < shared else b"c%d:%d" % (number, n)
