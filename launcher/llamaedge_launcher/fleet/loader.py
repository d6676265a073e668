"""Loads and unloads the models of a fleet: one after another, and as many as there is room for."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ..asking import Failures
from ..control import Sized
from ..errors import LauncherError
from ..models.sizes import size_text
from ..pool import Unavailable
from ..settings import Settings
from .deployment import Deployment, Launch
from .errors import DoesNotFit, LoadFailed
from .local import Local
from .member import Member
from .recipe import Recipe

_log = logging.getLogger(__name__)
_TELL = 2.0  # seconds that a worker has for its last words


class Loader:
    """Starts a deployment beside those that run, and ends one once its requests have ended.

    At most ``settings.models_max`` of ``members`` are loaded, and one more while it takes the
    place of another; 0 is any number.
    """

    def __init__(
        self, members: Sequence[Member], launch: Launch, settings: Settings, local: Local
    ) -> None:
        self._members = members
        self._launch = launch
        self._settings = settings
        self._local = local
        self._live: set[Deployment] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._one = asyncio.Lock()
        self._broken: list[BaseException] = []
        self._breaks = asyncio.Event()
        self.on_gone: Callable[[Member], None] = lambda _: None

    def start(self, member: Member, *, sharing: int) -> None:
        """Start the first worker of ``member``, one of those ``sharing`` what memory is free.

        Raises LauncherError.
        """
        member.deployment = self._deploy(member.recipe, sharing=sharing)

    def follow(self, on_sized: Callable[[Sized], None] | None) -> None:
        """Follow the first workers; ``on_sized`` is called with what each of them takes."""
        for each in self._live:
            self._follow(each, on_sized)

    async def broken(self) -> None:
        """Wait until something fails that cannot, and raise it."""
        await self._breaks.wait()
        raise self._broken[0]

    def files(self) -> set[Path]:
        """The models that workers have open."""
        return {model.path for each in self._live for model in each.recipe.models}

    def _follow(
        self, deployment: Deployment, on_sized: Callable[[Sized], None] | None = None
    ) -> None:
        def ended(task: "asyncio.Task[None]") -> None:
            error = None if task.cancelled() else task.exception()
            if error is not None and deployment.started:
                self._broken.append(error)
                self._breaks.set()

        deployment.follow(on_sized).add_done_callback(ended)

    def _deploy(self, recipe: Recipe, *, sharing: int = 1) -> Deployment:
        most = self._settings.max_queue
        found = Deployment(recipe, self._launch, max_queue=most, sharing=sharing)
        self._live.add(found)
        return found

    async def load(self, member: Member, recipe: Recipe) -> None:
        """Serve ``member`` by a new deployment of ``recipe``, in the place of the one it has.

        What served until then goes on while the new worker loads, and for good if that fails.
        Raises DoesNotFit and LoadFailed.
        """
        async with self._one:
            await self._make_room(member, recipe)
            _log.info("loading %s", recipe.models[0].name)
            try:
                deployment = await self._started(recipe)
            except LauncherError as error:
                _log.warning("%s is not loaded: %s", recipe.models[0].name, error)
                raise LoadFailed(f"{recipe.models[0].name} cannot be loaded: {error}") from error
            former, member.deployment = member.deployment, deployment
            member.recipe = recipe
            member.touch()
            _log.info("%s is ready", recipe.models[0].name)
            if former is not None:
                self._retire(member, former)
            for each in self._surplus(but=member, coming=0):
                self.unload(each)

    async def _started(self, recipe: Recipe) -> Deployment:
        deployment = self._deploy(recipe)
        try:
            self._follow(deployment)
            await deployment.ready()
        except BaseException:
            await self._end(deployment)
            raise
        return deployment

    def unload(self, member: Member) -> "asyncio.Task[None] | None":
        """Give ``member`` no more requests, and end it after the last; None if it is not loaded."""
        former, member.deployment = member.deployment, None
        return self._retire(member, former) if former else None

    def _retire(self, member: Member, deployment: Deployment) -> asyncio.Task[None]:
        deployment.leaving = True
        member.leaving += 1
        task = asyncio.create_task(self._drain(member, deployment))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return task

    async def _drain(self, member: Member, deployment: Deployment) -> None:
        await deployment.drained()
        member.count(await deployment.figures())
        with suppress(*Failures, Unavailable, TimeoutError):
            async with asyncio.timeout(_TELL):
                member.properties = await deployment.properties()
        await self._end(deployment)
        member.leaving -= 1
        _log.info("%s is unloaded", deployment.recipe.models[0].name)
        if member.status == "available" and not member.named:
            self.on_gone(member)

    async def _end(self, deployment: Deployment) -> None:
        await deployment.end()
        self._live.discard(deployment)

    async def _make_room(self, member: Member, recipe: Recipe) -> None:
        """Wait for what leaves already; where memory lacks, let go first what is to leave later."""
        if self._settings.models_max and self._retiring:
            await asyncio.wait(self._retiring)
        needed = self._local.needed(recipe)
        free = await asyncio.to_thread(self._local.free)
        if needed <= free or not needed:
            return
        leaving = self._surplus(but=member, coming=member.deployment is None)
        freed = sum(map(self._taken, leaving))
        if needed > free + freed:
            raise DoesNotFit(self._lacking(recipe, needed, free))
        await asyncio.wait([task for each in leaving if (task := self.unload(each))])

    def _lacking(self, recipe: Recipe, needed: int, free: int) -> str:
        others = [each for each in self._members if each.deployment is not None]
        frees = ", ".join(
            f"unloading {each.recipe.id} frees {size_text(self._taken(each))}" for each in others
        )
        says = f"{recipe.models[0].name} takes {size_text(needed)}, and {size_text(free)} of memory"
        return f"{says} are free{f'; {frees}' if frees else ''}"

    def _taken(self, member: Member) -> int:
        """Bytes that ``member`` takes: as its worker tells, or else as is reckoned."""
        return member.memory() or self._local.needed(member.recipe)

    def _surplus(self, *, but: Member, coming: int) -> list[Member]:
        """Those to unload for one more: idle ones first, by how long ago they were used."""
        loaded = [each for each in self._members if each.deployment and each is not but]
        count = len(loaded) + (but.deployment is not None) + coming
        surplus = count - self._settings.models_max if self._settings.models_max else 0
        loaded.sort(key=lambda each: (each.busy, each.touched))
        return loaded[: max(surplus, 0)]

    async def end(self) -> None:
        """End every worker, whatever it does."""
        await asyncio.gather(*(each.end() for each in self._live))

    def kill(self) -> None:
        """End the first workers, where they are not followed."""
        for each in self._live:
            each.kill()
