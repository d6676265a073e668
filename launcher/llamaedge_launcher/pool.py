"""The guest instances that are ready, and which request goes to which."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from .settings import MAX_QUEUE


class Unavailable(Exception):
    """No guest is ready; try again in ``retry_after`` seconds."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def copy(self) -> "Unavailable":
        """One to raise: an exception keeps the frames of every place that it was raised at."""
        return Unavailable(str(self), retry_after=self.retry_after)


class Overloaded(Exception):
    """As many requests wait as may wait; try again in ``retry_after`` seconds."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(eq=False)
class Instance:
    """A guest that listens on the Unix socket ``path`` and answers ``running`` requests."""

    path: str
    running: int = 0
    _exchanges: set[asyncio.Timeout] = field(default_factory=set)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """The block speaks with the guest: a TimeoutError ends it where nothing will come of it."""
        async with asyncio.timeout(None) as exchange:
            self._exchanges.add(exchange)
            try:
                yield
            finally:
                self._exchanges.discard(exchange)

    def cut(self) -> None:
        """End what is connected."""
        for exchange in self._exchanges:
            exchange.reschedule(0)


class Pool:
    """Gives each request an instance, first come first served.

    An instance answers ``limit`` requests at once; with a limit of 1 it has one request
    from its arrival to the end of its body, which guests with one computation need.
    """

    def __init__(self, *, limit: int, max_waiting: int = MAX_QUEUE) -> None:
        self._limit = limit
        self._max_waiting = max_waiting
        self._instances: list[Instance] = []
        self._waiting: deque[asyncio.Future[Instance]] = deque()
        self._closed = Unavailable("the models are being loaded")

    @property
    def ready(self) -> int:
        """The number of instances that take requests."""
        return len(self._instances)

    @property
    def running(self) -> int:
        """The number of requests that instances have."""
        return sum(each.running for each in self._instances)

    @property
    def waiting(self) -> int:
        """The number of requests that wait for an instance."""
        return len(self._waiting)

    def add(self, path: str) -> None:
        """Take in the instance that listens on ``path``."""
        self._instances.append(Instance(path))
        self._serve_waiting()

    def remove(self, path: str, reason: Unavailable, *, cut: bool = False) -> None:
        """Give the instance on ``path`` no more requests, and with ``cut`` end those that it has.

        After the last one, requests that come get ``reason``; those that wait go on waiting.
        """
        for each in self._instances:
            if each.path == path and cut:
                each.cut()
        self._instances = [each for each in self._instances if each.path != path]
        self._closed = reason

    def drop(self, reason: Unavailable) -> None:
        """Forget all instances. Requests that come get ``reason``; those that wait wait on."""
        self._instances.clear()
        self._closed = reason

    def close(self, reason: Unavailable) -> None:
        """Forget all instances; raise ``reason`` for requests that wait and that come."""
        self._instances.clear()
        self._closed = reason
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(reason.copy())
        self._waiting.clear()

    def check(self) -> None:
        """Raise Unavailable or Overloaded if a request that comes now would get no place."""
        if self._least_busy().running >= self._limit and len(self._waiting) >= self._max_waiting:
            raise Overloaded(f"as many requests as may are waiting already: {self._max_waiting}")

    @asynccontextmanager
    async def lease(self, *, computes: bool = True, again: bool = False) -> AsyncIterator[Instance]:
        """An instance, held for one request.

        A request that does not compute is not counted by instances that answer several. One that
        comes ``again``, since its instance had gone, waits where none is left. Raises Unavailable
        and Overloaded.
        """
        if not computes and self._limit > 1 and not again:
            yield self._least_busy()
            return
        instance = await (self._wait() if again and not self._instances else self._acquire())
        try:
            yield instance
        finally:
            instance.running -= 1
            self._serve_waiting()

    def _least_busy(self) -> Instance:
        if not self._instances:
            raise self._closed.copy()
        return min(self._instances, key=lambda each: each.running)

    async def _acquire(self) -> Instance:
        self.check()
        instance = self._least_busy()
        if instance.running < self._limit:
            instance.running += 1
            return instance
        return await self._wait()

    async def _wait(self) -> Instance:
        place: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            self._give_up(place)
            raise

    def _give_up(self, place: "asyncio.Future[Instance]") -> None:
        if place in self._waiting:
            self._waiting.remove(place)
        elif place.done() and not place.cancelled() and place.exception() is None:
            place.result().running -= 1
            self._serve_waiting()

    def _serve_waiting(self) -> None:
        while self._waiting and self._instances:
            instance = self._least_busy()
            if instance.running >= self._limit:
                return
            place = self._waiting.popleft()
            if not place.done():
                instance.running += 1
                place.set_result(instance)
