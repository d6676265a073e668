"""A cluster on paper: conversations, a router, machines with their caches; in simpy's time.

A machine computes steps as the engine's scheduler plans them. Times are in seconds, lengths in
tokens.
"""

import math
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import simpy

from llamaedge_host.ggml.engine.pace import LONE_STEP, SHARED_STEP
from llamaedge_host.ggml.engine.scheduler import PATIENT, TURN
from llamaedge_launcher.affinity import Placement, Prefix
from llamaedge_launcher.cli.plan import TURNS

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
    """``unread`` tokens of its prompt and ``unmade`` ones of its answer are left.

    It has been in its slot, or waited for one, ``since`` then.
    """

    conversation: int
    system: int
    prefix: Prefix
    length: int
    wanted: int
    came: float
    done: simpy.Event
    begun: bool = False
    unread: int = 0
    unmade: int = 0
    since: float = 0.0


class Machine:
    """``slots`` requests compute at once and as many rest, by turns; others are in a queue.

    It has a cache of what was read.
    """

    def __init__(self, world: simpy.Environment, costs: Costs, seen: Callable[[], Seen]) -> None:
        self._world = world
        self._costs = costs
        self._seen = seen
        self._running: list[Request] = []
        self._resting: deque[Request] = deque()
        self._queue: deque[Request] = deque()
        self._cache: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._kept = 0
        self._news: simpy.Event | None = None
        self._works = False
        self.busy = 0.0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def load(self) -> int:
        return len(self._running) + len(self._resting) + len(self._queue)

    def take(self, request: Request) -> None:
        self._queue.append(request)
        if not self._works:
            self._works = True
            self._world.process(self._work())
        elif self._news is not None and not self._news.triggered:
            self._news.succeed()

    def _work(self) -> Generator[simpy.Event, Any, None]:
        while self.load:
            self._admit()
            began = self._world.now
            shares = self._shares()
            step = sum(shares.values()) / self._costs.prefill + self._decoding()
            steps = 1 if shares else self._alike(step)
            if steps == 1:
                yield self._world.timeout(step)
            else:
                steps = yield from self._until_news(steps, step)
            self.busy += self._world.now - began
            self._computed(shares, steps)
        self._works = False

    def _until_news(self, steps: int, step: float) -> Generator[simpy.Event, Any, int]:
        """So many steps, or fewer if a request comes; tells how many it were."""
        began, self._news = self._world.now, self._world.event()
        yield self._world.timeout(steps * step) | self._news
        self._news = None
        done = min(max(math.ceil((self._world.now - began) / step - 1e-6), 1), steps)
        yield self._world.timeout(max(began + done * step - self._world.now, 0.0))
        return done

    def _admit(self) -> None:
        """As Scheduler's: a sequence keeps its slot for TURN seconds, or until one has waited."""
        slots, now = self._costs.slots, self._world.now
        while self._queue and len(self._running) + len(self._resting) < TURNS * slots:
            self._rest(self._queue.popleft())
        while self._resting:
            over = [each for each in self._running if not each.unread and each.since <= now - TURN]
            patient = self._resting[0].since > now - PATIENT * TURN
            if len(self._running) == slots and (patient or not over):
                return
            if len(self._running) == slots:
                victim = min(over, key=lambda each: each.since)
                self._running.remove(victim)
                self._rest(victim)
            self._begin(self._resting.popleft())

    def _rest(self, request: Request) -> None:
        request.since = self._world.now
        self._resting.append(request)

    def _begin(self, request: Request) -> None:
        """It has a slot; the first time its prompt is looked for in the cache."""
        request.since = self._world.now
        self._running.append(request)
        if request.begun:
            return
        request.begun = True
        known, seen = self._known(request), self._seen()
        seen.prompt += request.length
        seen.reused += known
        request.unread = max(request.length - known, 1)
        request.unmade = request.wanted
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

    def _decoding(self) -> float:
        """Seconds of a token of each sequence that decodes."""
        count = sum(not each.unread for each in self._running)
        return count / (self._costs.decode * self._costs.gain(count)) if count else 0.0

    def _shares(self) -> dict[Request, int]:
        """The tokens of prompts that a step reads, as Scheduler.plan() shares them out."""
        prompts = sorted((each for each in self._running if each.unread), key=lambda r: r.since)
        if not prompts:
            return {}
        alone = len(prompts) == len(self._running)
        left = int(self._costs.prefill * (LONE_STEP if alone else SHARED_STEP))
        shares = {prompts[0]: min(prompts[0].unread, left // 2)}
        left -= shares[prompts[0]]
        for each in (*sorted(prompts[1:], key=lambda r: r.unread), prompts[0]):
            more = min(each.unread - shares.get(each, 0), left)
            shares[each] = shares.get(each, 0) + more
            left -= more
        return shares

    def _alike(self, step: float) -> int:
        """Steps until one of the sequences ends, all of which decode, or has to make place."""
        ends = min(each.unmade for each in self._running)
        if not self._resting:
            return ends
        over = min(each.since for each in self._running) + TURN
        over = max(over, self._resting[0].since + PATIENT * TURN) - self._world.now
        return max(min(ends, math.ceil(over / step)), 1)

    def _computed(self, shares: Mapping[Request, int], steps: int) -> None:
        """A prompt that has been read makes a token at once, and what decodes one a step."""
        for each in list(self._running):
            reads = each.unread > 0
            each.unread -= shares.get(each, 0)
            if each.unread:
                continue
            if reads:
                self._seen().first.append(self._world.now - each.came)
            each.unmade -= 1 if reads else steps
            if each.unmade <= 0:
                self._running.remove(each)
                self._keep(each, each.length + each.wanted)
                each.done.succeed()


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
        self._most = machines * (TURNS * costs.slots + queue)
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
