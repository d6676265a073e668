"""A worker that serves one recipe, from its start to its end."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from ..control import Sized, WorkerConfig
from ..health import Figures, Health
from ..pool import Pool
from ..supervisor import Supervisor, WorkerProcess
from .recipe import Recipe

Launch = Callable[[WorkerConfig], WorkerProcess]
"""Starts a worker. Raises LauncherError."""


class Deployment:
    """A worker with its guests, and the queue of those that wait for one.

    The worker starts at once, and is followed from follow() until end(). ``requests`` are under
    way; one that is ``leaving`` gets no more.
    """

    def __init__(self, recipe: Recipe, launch: Launch, *, max_queue: int, sharing: int = 1) -> None:
        self.recipe = recipe
        self.requests = 0
        self.leaving = False
        self.pool = Pool(limit=recipe.limit, max_waiting=max_queue)
        start = partial(launch, replace(recipe.worker, sharing=sharing))
        self._worker = start()
        self._listening = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._supervisor = Supervisor(self._worker, start, self.pool, self._listening.set)
        self._following: asyncio.Task[None] | None = None

    @property
    def started(self) -> bool:
        """Whether a guest has listened."""
        return self._listening.is_set()

    def follow(self, on_sized: Callable[[Sized], None] | None = None) -> asyncio.Task[None]:
        """Keep the worker running and the pool in step with it, in the task that this answers.

        ``on_sized`` is called with what its models take, before they are loaded.
        """
        self._following = asyncio.create_task(self._supervisor.run(on_sized))
        return self._following

    async def ready(self) -> None:
        """Wait until a guest listens. Raises LauncherError if the worker fails before that."""
        assert self._following is not None
        listening = asyncio.create_task(self._listening.wait())
        try:
            await asyncio.wait((listening, self._following), return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
        if not self.started:
            await self._following

    @contextmanager
    def use(self) -> Iterator[Pool]:
        """The pool, for one request, which counts as under way within the block."""
        self.requests += 1
        self._idle.clear()
        try:
            yield self.pool
        finally:
            self.requests -= 1
            if not self.requests:
                self._idle.set()

    async def drained(self) -> None:
        """Wait until no request is under way."""
        await self._idle.wait()

    async def end(self) -> None:
        """End the worker, whatever it does; its memory is free afterwards."""
        if self._following is None:
            self.kill()
            return
        self._following.cancel()
        await asyncio.wait((self._following,))

    def kill(self) -> None:
        """End the first worker, for one that is not followed."""
        self._worker.kill()

    def health(self) -> Health:
        """How it is now."""
        return self._supervisor.health()

    async def ask(self, about: str, given: Mapping[str, Any]) -> Any:
        """What the worker answers to a question. Raises as Inquiries' ask() does."""
        return await self._supervisor.ask(about, given)

    async def properties(self) -> Mapping[str, Any]:
        """What the worker tells of its first model. Raises as Inquiries' ask() does."""
        found: Mapping[str, Any] = await self.ask("properties", {})
        return found

    @property
    def sized(self) -> Sized | None:
        """What its models take, once the worker has told."""
        return self._supervisor.sized

    async def figures(self) -> Figures:
        """What it has done."""
        return await self._supervisor.figures()
