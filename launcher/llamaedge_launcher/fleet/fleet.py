"""The models of a server, and which request goes to which."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..control import Sized
from ..errors import LauncherError
from ..health import Figures, Health, Source
from ..pool import Overloaded, Pool, Unavailable
from ..settings import FOR_EVER, Settings
from .deployment import Deployment, Launch
from .errors import InUse, LoadFailed, ModelRefused, UnknownModel
from .loader import Loader
from .local import Local, Nothing
from .member import Member
from .recipe import DEFAULT, Model, Recipe, Wanted

if TYPE_CHECKING:
    from .looks import Looks


class Fleet:
    """Serves each of ``recipes`` by a deployment of its own; the first one is the default.

    The workers of as many as may be loaded start at once. A request loads what it names, of
    these and of the models of this machine, which ``local`` knows.
    """

    def __init__(
        self,
        recipes: Sequence[Recipe],
        launch: Launch,
        settings: Settings | None = None,
        local: Local | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self._local = local or Nothing()
        self._members = [Member(recipe, named=True) for recipe in recipes]
        self._loader = Loader(self._members, launch, self._settings, self._local)
        self._loader.on_gone = self._forget
        self._started = self._stopping = False
        first = self._settings.models_max or len(recipes)
        try:
            together = self._members[:first]
            for member in together:
                self._loader.start(member, sharing=len(together))
        except BaseException:
            self.kill()
            raise

    async def run(
        self,
        on_ready: Callable[[], None],
        on_sized: Callable[[Sized], None] | None = None,
    ) -> None:
        """Follow all workers until cancelled, and end them then.

        ``on_sized`` is called for each of the first, with what it takes, ``on_ready`` when each
        has served. Raises LauncherError if one fails before.
        """
        first = [each.deployment for each in self._members if each.deployment]
        looking = asyncio.create_task(self.here())  # whose first call takes a tenth of a second
        looking.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            self._loader.follow(on_sized)
            await asyncio.gather(*(each.ready() for each in first))
            self._started = True
            for member in self._members:
                self._rest(member)
            on_ready()
            await self._loader.broken()
        finally:
            self._stopping = True
            looking.cancel()
            for each in self._members:
                if each.loading is not None:
                    each.loading.cancel()
            await self._loader.end()

    def kill(self) -> None:
        """End the first workers, where run() has not come to."""
        self._loader.kill()

    @property
    def members(self) -> Sequence[Member]:
        """What is known to it, the default one first."""
        return self._members

    async def here(self) -> list[Model]:
        """The models of this machine that no member serves."""
        paths = {model.path for each in self._members for model in each.recipe.models}
        found = await asyncio.to_thread(self._local.models)
        return [model for model in found if model.path not in paths]

    async def models(self) -> list[Model]:
        """Those that requests may name, the default one first."""
        return [*self._known(), *await self.here()]

    async def looks(self, models: Sequence[Model]) -> "list[Looks]":
        """What the files say of each of ``models``."""
        from .looks import looks

        return await asyncio.to_thread(lambda: [looks(each) for each in models])

    async def digests(self, models: Sequence[Model]) -> list[str]:
        """The digest of each of their files; each is read whole once."""
        from ..models.digest import digest

        return await asyncio.to_thread(lambda: [digest(each.path, each.version) for each in models])

    def _known(self) -> Iterator[Model]:
        for each in self._members:
            yield from each.recipe.models

    def check(self, wanted: Wanted | None) -> None:
        """Raise Unavailable or Overloaded if a request for what is ``wanted`` gets no place now.

        None is for any model, so that one place is enough. What is to be loaded has room.
        """
        member = self._pick(wanted) if wanted is not None else None
        chosen = [member] if member else [] if wanted is not None else self._members
        refusals: list[Unavailable | Overloaded] = []
        for each in chosen:
            try:
                if each.deployment is not None:
                    each.deployment.pool.check()
            except (Unavailable, Overloaded) as error:
                refusals.append(error)
        if refusals and len(refusals) == len(chosen):
            raise refusals[0]

    @asynccontextmanager
    async def use(self, wanted: Wanted) -> AsyncIterator[Pool]:
        """The pool that answers what is ``wanted``, for one request; loads the model if need be.

        Raises ModelRefused.
        """
        async with self._used(wanted) as deployment:
            yield deployment.pool

    async def ask(
        self, wanted: Wanted, about: str, given: Mapping[str, Any], *, computes: bool = False
    ) -> Any:
        """What the worker that serves what is ``wanted`` answers to a question about its models.

        One that ``computes`` is one of the requests that a guest answers. Raises ModelRefused,
        Overloaded, and as Inquiries' ask() does.
        """
        async with self._used(wanted) as deployment:
            if not computes:
                return await deployment.ask(about, given)
            async with deployment.pool.lease():
                return await deployment.ask(about, given)

    async def properties(self, wanted: Wanted) -> tuple[Member, Mapping[str, Any]]:
        """Who serves what is ``wanted``, and what its worker tells of its models.

        One that is unloaded told before; one that never was loaded is loaded. It counts as no
        use of the model. Raises as ask() does.
        """
        member = self._pick(wanted) or await self._found(wanted.name or "")
        if member.deployment is None and member.properties is None:
            await self._deployed(member)
        if member.deployment is not None:
            member.properties = await member.deployment.properties()
        return member, member.properties or {}

    @asynccontextmanager
    async def _used(self, wanted: Wanted) -> AsyncIterator[Deployment]:
        member = self._pick(wanted) or await self._found(wanted.name or "")
        deployment = await self._deployed(member)
        try:
            with deployment.use():
                yield deployment
        finally:
            member.last_used = time.time()
            self._rest(member)

    def manage(self) -> None:
        """Requests may load, fetch and remove models: it raises nothing."""

    async def load(self, name: str) -> Member:
        """Load the model that is called ``name``, or load it again if its files have changed.

        What it serves already goes on until the new worker is ready. Raises ModelRefused.
        """
        member = self._named(name) or await self._found(name, alone=False)
        try:
            recipe = await asyncio.to_thread(self._local.refreshed, member.recipe)
        except LauncherError as error:
            raise LoadFailed(str(error)) from error
        while member.deployment is None or recipe != member.recipe:
            await self._load(member, recipe)
        return member

    async def unload(self, name: str) -> Member:
        """Unload the model that is called ``name`` once its requests have ended.

        Raises UnknownModel and InUse.
        """
        member = self._named(name) or await self._found(name, alone=False)
        if member.status == "loading" or member.loading is not None:
            raise InUse(f"{name} is being loaded; unload it afterwards")
        leaving = self._loader.unload(member)
        if leaving is None:
            self._forget(member)
            raise InUse(f"{name} is not loaded")
        await asyncio.shield(leaving)
        return member

    def using(self, files: Iterable[Path]) -> bool:
        """Whether one of ``files`` serves a model now, or is about to."""
        return not self._loader.files().isdisjoint(files)

    async def _deployed(self, member: Member) -> Deployment:
        member.waiting += 1
        try:
            while member.deployment is None:
                await self._load(member, member.recipe)
            return member.deployment
        finally:
            member.waiting -= 1

    async def _load(self, member: Member, recipe: Recipe) -> None:
        """Once for all who ask at a time, and to its end though none of them waits for it."""
        if self._stopping:
            raise Unavailable("the server is stopping")
        if member.loading is None:
            member.loading = asyncio.create_task(self._loading(member, recipe))
            member.loading.add_done_callback(_heard)
        loading = member.loading
        try:
            await asyncio.shield(loading)
        except asyncio.CancelledError:
            if loading.cancelled():
                raise Unavailable("the server is stopping") from None
            raise

    async def _loading(self, member: Member, recipe: Recipe) -> None:
        try:
            await self._loader.load(member, recipe)
            member.problem = None
        except ModelRefused as error:
            member.problem = str(error)
            raise
        finally:
            member.loading = None
        self._rest(member)

    def _rest(self, member: Member) -> None:
        """Unload ``member`` when it has been idle for as long as it may."""
        member.touch()
        if member.timer is not None:
            member.timer.cancel()
        if self._settings.keep_alive != FOR_EVER and not member.busy:
            loop = asyncio.get_running_loop()
            member.timer = loop.call_later(self._settings.keep_alive, self._expire, member)

    def _expire(self, member: Member) -> None:
        if member.status == "ready" and not member.busy and member.loading is None:
            self._loader.unload(member)

    def _named(self, name: str | None) -> Member | None:
        return next((each for each in self._members if name and each.recipe.serves(name)), None)

    def _pick(self, wanted: Wanted) -> Member | None:
        """Who serves it; None if it may be here. One alone serves whatever a request names."""
        name = wanted.name
        if found := self._named(name):
            return found
        if name and name != DEFAULT and (len(self._members) > 1 or self._local.may_have(name)):
            return None
        able = [each for each in self._members if _does(each.recipe, wanted)]
        return (able or self._members)[0]

    async def _found(self, name: str, *, alone: bool = True) -> Member:
        """A new member for the model of this machine that is called ``name``.

        If there is none, one ``alone`` serves it. Raises UnknownModel and LoadFailed.
        """
        try:
            recipe = await asyncio.to_thread(self._local.find, name)
        except LauncherError as error:
            raise LoadFailed(str(error)) from error
        if recipe is None and alone and len(self._members) == 1:
            return self._members[0]
        if recipe is None:
            known = ", ".join(model.id for model in self._known())
            raise UnknownModel(f"The model '{name}' does not exist; this server has {known}.")
        for each in self._members:
            if each.recipe.serves(recipe.models[0].name) or each.recipe.serves(recipe.id):
                return each
        self._members.append(Member(recipe, named=False))
        return self._members[-1]

    def _forget(self, member: Member) -> None:
        """Know ``member`` no longer, unless the command line names it."""
        if not member.named and member in self._members:
            self._members.remove(member)

    def health(self) -> Health:
        """Ready if a model takes requests, once the first have; or if all of them are unloaded."""
        found = [each.deployment.health() for each in self._members if each.deployment]
        statuses = {each.status for each in found} or {"ready"}
        order = ("ready", "unavailable", "loading")
        decisive = order if self._started else order[::-1]
        status = next(each for each in decisive if each in statuses)
        wrong = "; ".join(each.message for each in found if each.message)
        return Health(status, sum(each.guests for each in found), wrong or None)

    async def figures(self) -> dict[Source, Figures]:
        """What each model's deployments have done."""
        members = list(self._members)
        told = await asyncio.gather(*(each.figures() for each in members))
        return {Source(each.recipe.id): found for each, found in zip(members, told, strict=True)}


def _does(recipe: Recipe, wanted: Wanted) -> bool:
    return wanted.kind is None or any(model.kind == wanted.kind for model in recipe.models)


def _heard(loading: "asyncio.Task[None]") -> None:
    """Its failure is told to those who wait for it, if any do."""
    if not loading.cancelled():
        loading.exception()
