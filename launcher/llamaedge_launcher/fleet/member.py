"""A model that a fleet knows, loaded or not."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..control import ModelSize
from ..health import Figures
from .deployment import Deployment
from .recipe import Model, Recipe

Status = Literal["available", "loading", "ready", "unloading", "failed"]
_NOTHING = Figures(0, 0, 0, 0, 0, {})


@dataclass(eq=False)
class Member:
    """``recipe`` and the deployment that serves it, None while it is not loaded.

    One that is ``named`` stays known when it is unloaded: the command line names it. ``waiting``
    requests wait until it is loaded; the last one ended at ``last_used``, in seconds since 1970.
    ``properties`` are what its worker told last of its models.
    """

    recipe: Recipe
    named: bool
    deployment: Deployment | None = None
    loading: "asyncio.Task[None] | None" = None
    problem: str | None = None
    waiting: int = 0
    last_used: float | None = None
    leaving: int = 0
    timer: asyncio.TimerHandle | None = None
    touched: float = field(default_factory=time.monotonic)
    ended: Figures = _NOTHING
    properties: Mapping[str, Any] | None = None

    @property
    def status(self) -> Status:
        """Where it stands."""
        if self.deployment is not None:
            return "ready" if self.deployment.started else "loading"
        if self.loading is not None:
            return "loading"
        if self.leaving:
            return "unloading"
        return "failed" if self.problem else "available"

    @property
    def expires(self) -> float | None:
        """When it will have been idle too long, in seconds since 1970; None if it stays."""
        if self.timer is None or self.timer.cancelled() or self.status != "ready":
            return None
        return time.time() + self.timer.when() - asyncio.get_running_loop().time()

    @property
    def busy(self) -> bool:
        """Whether a request is under way, or waits for the model."""
        return bool(self.waiting or (self.deployment and self.deployment.requests))

    @property
    def sizes(self) -> Mapping[Model, ModelSize]:
        """What each model takes; empty while that is not known."""
        sized = self.deployment.sized if self.deployment else None
        return dict(zip(self.recipe.models, sized.models, strict=False)) if sized else {}

    def memory(self) -> int | None:
        """Bytes that all take; None while that is not known."""
        sizes = self.sizes
        return sum(each.total for each in sizes.values()) if sizes else None

    def touch(self) -> None:
        """A request has come or gone."""
        self.touched = time.monotonic()

    def count(self, figures: Figures) -> None:
        """Keep what a deployment did that ends."""
        self.ended = self._sum(figures, {})

    async def figures(self) -> Figures:
        """What its deployments have done so far."""
        if self.deployment is None:
            return self.ended
        found = await self.deployment.figures()
        return self._sum(found, found.engines)

    def _sum(self, figures: Figures, engines: object) -> Figures:
        total = replace(
            figures,
            guest_restarts=figures.guest_restarts + self.ended.guest_restarts,
            worker_restarts=figures.worker_restarts + self.ended.worker_restarts,
        )
        if engines:
            return total
        return replace(total, requests_processing=0, requests_deferred=0, guests=0, engines={})
