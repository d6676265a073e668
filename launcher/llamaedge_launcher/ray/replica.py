"""A replica: a worker with its guests on a machine of the cluster."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ray import serve

from ..asking import Failures
from ..errors import LauncherError
from ..fleet.errors import ModelRefused
from ..fleet.fleet import Fleet
from ..fleet.member import Member
from ..fleet.recipe import Model, Wanted
from ..health import Figures
from ..pool import Overloaded, Unavailable
from ..proxy.exchange import GuestGone
from ..proxy.transport import FleetTransport, TimedOut
from ..supervisor import WorkerProcess
from . import options
from .messages import PROPERTIES, Ask, Description, Head, Properties, Question, Refused, Told

_log = logging.getLogger(__name__)
_REFUSALS = (Unavailable, Overloaded, ModelRefused, TimedOut, GuestGone)


Load = Callable[[str], Awaitable["_Loaded"]]


class Replica:
    """Serves what ``given`` says, options of ``llamaedge run``.

    With ``models`` it serves those of them that are asked for, by Ray Serve's multiplexing.
    Raises LauncherError if the first cannot be served.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, given: dict[str, Any], models: list[str]
    ) -> None:
        own = [{**given, "model": name} for name in models] or [given]
        plans = [await asyncio.to_thread(options.for_server, each) for each in own]
        settings = plans[0][1]
        if models:
            settings = replace(settings, models_max=settings.models_max or 1)
        recipes = [
            recipe
            for plan, _ in plans
            for recipe in plan.recipes(plan.addresses[0], hang_timeout=settings.hang_timeout)
        ]
        self._name = serve.get_replica_context().replica_tag
        self._fleet = Fleet(recipes, WorkerProcess, settings)
        self._transport = FleetTransport(self._fleet)
        self._model = _multiplexed(self._fleet, settings.models_max) if models else None
        ready = asyncio.Event()
        self._running = asyncio.create_task(self._fleet.run(ready.set))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait((waiting, self._running), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._running.done():
            self._running.result()
        if self._model is not None:
            for each in recipes[: settings.models_max]:
                await self._model(each.models[0].name)

    async def answer(self, ask: Ask) -> AsyncIterator[Head | bytes | Refused]:
        """The answer to ``ask``: its head, then its body; or, at any place, a refusal."""
        try:
            if self._model is not None:
                await self._model(serve.get_multiplexed_model_id())
            sending = self._transport.send(ask.request, wanted=ask.wanted, computes=ask.computes)
            async with sending as answer:
                yield Head(answer.status, answer.headers)
                while data := await answer.read():
                    yield data
        except _REFUSALS as error:
            yield Refused(error)

    async def reply(self, question: Question) -> AsyncIterator[Told | Refused]:
        """The one answer to ``question``, or a refusal."""
        try:
            if self._model is not None and not self._told_before(question):
                await self._model(serve.get_multiplexed_model_id())
            yield Told(await self._told(question))
        except (*_REFUSALS, *Failures) as error:
            yield Refused(error)

    async def _told(self, question: Question) -> Any:
        if question.about == PROPERTIES:
            member, told = await self._fleet.properties(question.wanted)
            return Properties(member.status, told)
        return await self._fleet.ask(
            question.wanted, question.about, question.given, computes=question.computes
        )

    def _told_before(self, question: Question) -> bool:
        """Whether it is about properties, which are known of a model that is not loaded now."""
        member = self._member(question.wanted)
        return question.about == PROPERTIES and member is not None and bool(member.properties)

    def _member(self, wanted: Wanted) -> Member | None:
        name = wanted.name or ""
        return next((each for each in self._fleet.members if each.recipe.serves(name)), None)

    async def slots(self, wanted: Wanted) -> tuple[str, Sequence[Mapping[str, Any]]]:
        """This replica's name, and its slots of what is ``wanted``; none if it is not loaded."""
        member = self._member(wanted)
        if member is not None and member.deployment is None:
            return self._name, ()
        return self._name, await self._fleet.ask(wanted, "slots", {})

    async def describe(self) -> Description:
        """What there is."""
        members = self._fleet.members
        models = self._models()
        looks = dict(zip(models, await self._fleet.looks(models), strict=True))
        sizes = {model.id: size for member in members for model, size in member.sizes.items()}
        return Description(self._name, tuple(each.recipe for each in members), looks, sizes)

    async def digests(self) -> dict[Model, str]:
        """The digest of each model's file; may take a while."""
        models = self._models()
        return dict(zip(models, await self._fleet.digests(models), strict=True))

    def _models(self) -> list[Model]:
        return [model for member in self._fleet.members for model in member.recipe.models]

    async def figures(self) -> tuple[str, dict[str, Figures]]:
        """This replica's name, and what each model's guests have done."""
        found = await self._fleet.figures()
        return self._name, {source.model: figures for source, figures in found.items()}

    async def check_health(self) -> None:
        """Serve's call: raise if the replica has to be replaced."""
        if self._running.done():
            raise LauncherError(f"the replica has ended: {self._running.exception()}")

    async def __del__(self) -> None:
        """Serve's call when the replica has been drained."""
        running = getattr(self, "_running", None)
        if running is not None:
            running.cancel()
            await asyncio.wait((running,))


def _multiplexed(fleet: Fleet, most: int) -> "Load":
    """Has a model of ``fleet`` loaded, of which Ray Serve keeps ``most``."""

    async def load(name: str) -> _Loaded:
        await fleet.load(name)
        return _Loaded(fleet, name)

    found: Load = serve.multiplexed(max_num_models_per_replica=most)(load)
    return found


class _Loaded:
    """A model that a replica has loaded, for Ray Serve to let go."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self._fleet = fleet
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._left = False

    def __del__(self) -> None:
        """Serve's call from a thread of its own: unload it once its requests have ended."""
        if self._left:
            return
        self._left = True
        unloading = asyncio.run_coroutine_threadsafe(self._fleet.unload(self._name), self._loop)
        try:
            unloading.result()
        except ModelRefused as error:
            _log.debug("%s", error)
