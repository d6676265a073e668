"""The deployments of a server, and which request goes to which."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

from ..control import Sized
from ..health import Figures, Health
from ..pool import Overloaded, Pool, Unavailable
from ..settings import MAX_QUEUE
from .deployment import Deployment, Launch
from .errors import UnknownModel
from .recipe import DEFAULT, Model, Recipe, Wanted


class Fleet:
    """Serves each of ``recipes`` by a deployment of its own; the first one is the default.

    Their workers start at once. ``max_queue`` requests may wait for a guest of each.
    """

    def __init__(
        self, recipes: Sequence[Recipe], launch: Launch, *, max_queue: int = MAX_QUEUE
    ) -> None:
        self._deployments: list[Deployment] = []
        self._started = False
        try:
            for recipe in recipes:
                self._deployments.append(Deployment(recipe, launch, max_queue=max_queue))
        except BaseException:
            self.kill()
            raise

    async def run(
        self,
        on_ready: Callable[[], None],
        on_sized: Callable[[Sized], None] | None = None,
    ) -> None:
        """Follow all workers until cancelled, and end them then.

        ``on_sized`` is called for each, with what it takes, ``on_ready`` when each has served.
        Raises LauncherError if one fails before.
        """
        tasks = [each.follow(on_sized) for each in self._deployments]
        try:
            await asyncio.gather(*(each.ready() for each in self._deployments))
            self._started = True
            on_ready()
            await asyncio.gather(*tasks)
        finally:
            await asyncio.gather(*(each.end() for each in self._deployments))

    def kill(self) -> None:
        """End the first workers, where run() has not come to."""
        for each in self._deployments:
            each.kill()

    def models(self) -> Iterator[Model]:
        """Those that requests may name, the default one first."""
        for each in self._deployments:
            yield from each.recipe.models

    def check(self, wanted: Wanted | None) -> None:
        """Raise Unavailable or Overloaded if a request for what is ``wanted`` gets no place now.

        None is for any model, so that one place is enough. Raises UnknownModel.
        """
        if wanted is not None:
            self._pick(wanted).pool.check()
            return
        refusals: list[Unavailable | Overloaded] = []
        for each in self._deployments:
            try:
                each.pool.check()
            except (Unavailable, Overloaded) as error:
                refusals.append(error)
        if refusals and len(refusals) == len(self._deployments):
            raise refusals[0]

    @asynccontextmanager
    async def use(self, wanted: Wanted) -> AsyncIterator[Pool]:
        """The pool that answers what is ``wanted``, for one request. Raises UnknownModel."""
        with self._pick(wanted).use() as pool:
            yield pool

    def _pick(self, wanted: Wanted) -> Deployment:
        """Where one deployment is all there is, it answers whatever a request names."""
        name = wanted.name
        named = [each for each in self._deployments if name and each.recipe.serves(name)]
        if named:
            return named[0]
        if name not in (None, "", DEFAULT) and len(self._deployments) > 1:
            known = ", ".join(model.id for model in self.models())
            raise UnknownModel(f"The model '{name}' does not exist; this server has {known}.")
        able = [each for each in self._deployments if _does(each.recipe, wanted)]
        return (able or self._deployments)[0]

    def health(self) -> Health:
        """Ready if a model takes requests, once all have been ready."""
        found = [each.health() for each in self._deployments]
        statuses = {each.status for each in found}
        first = ("ready",) if self._started else ()
        status = next(
            each for each in (*first, "unavailable", "loading", "ready") if each in statuses
        )
        wrong = "; ".join(each.message for each in found if each.message)
        return Health(status, sum(each.guests for each in found), wrong or None)

    async def figures(self) -> dict[str, Figures]:
        """What each deployment has done, by its first model's id."""
        told = await asyncio.gather(*(each.figures() for each in self._deployments))
        return {
            each.recipe.id: figures for each, figures in zip(self._deployments, told, strict=True)
        }


def _does(recipe: Recipe, wanted: Wanted) -> bool:
    return wanted.kind is None or any(model.kind == wanted.kind for model in recipe.models)
