"""The servers of an application as its fronts see them."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from ..asking import Unsupported
from ..control import ModelSize
from ..fleet.errors import NotManaged, UnknownModel
from ..fleet.looks import Looks
from ..fleet.member import Status
from ..fleet.recipe import DEFAULT, Model, Recipe, Wanted
from ..health import Figures, Health, Source
from ..pool import Unavailable
from ..proxy.transport import Answer, TimedOut
from .messages import PROPERTIES, Description, Head, Properties, Question, Told
from .sending import ReplicaAnswer, ask_for, begun

_log = logging.getLogger(__name__)

_ASK = 3.0  # seconds that replicas have to tell their numbers
_LOADING = "the models are being loaded"
_NOT_HERE = "models are what the application's configuration says; change it and deploy it again"
_OF_ONE = {
    "scale": "replicas come and go with the scales of the configuration: change 'lora' there and"
    " deploy it again, or say them in the request's field 'lora'",
}
"""Questions that would change one replica and no other, each with why it is not asked."""


@dataclass(eq=False)
class Part:
    """A deployment of servers; with ``several`` a request has to name which of its models."""

    title: str
    handle: DeploymentHandle
    several: bool
    told: Description | None = None
    last_used: float | None = None
    problem: str | None = None
    digests: Mapping[Model, str] | None = None

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """What it serves, as far as that is known."""
        return self.told.recipes if self.told else ()


@dataclass(frozen=True)
class Shown:
    """A model of a part, as /api/models shows it."""

    part: Part
    recipe: Recipe
    last_used: float | None = None
    status: Status = "ready"
    """Where it stands; "ready", as far as a front knows, as it can be had."""

    @property
    def problem(self) -> str | None:
        """None, since it can be had."""
        return None

    @property
    def expires(self) -> float | None:
        """None, since a front does not know when replicas unload what they do not use."""
        return None

    @property
    def sizes(self) -> Mapping[Model, ModelSize]:
        """What each model takes in the replica that told of it."""
        told = self.part.told
        known = told.sizes if told else {}
        return {each: known[each.id] for each in self.recipe.models if each.id in known}


class Cluster:
    """What fronts ask of models: a Managed and a Transport.

    A request may take ``timeout`` seconds in all, 0 for any number.
    """

    def __init__(self, parts: Sequence[Part], *, timeout: float) -> None:
        self._parts = parts
        self._timeout = timeout

    async def learn(self) -> None:
        """Learn what the servers have; returns once each has told."""
        await asyncio.gather(*(self._learn(each) for each in self._parts))

    async def _learn(self, part: Part) -> None:
        while part.told is None:
            try:
                part.told = await part.handle.describe.remote()
            except (RayError, RayServeException) as error:
                part.problem = str(error)
                _log.warning("%s does not tell what it has: %s", part.title, error)
                await asyncio.sleep(1)

    @property
    def members(self) -> Sequence[Shown]:
        """What the servers have, the default one first."""
        return [
            Shown(part, recipe, part.last_used) for part in self._parts for recipe in part.recipes
        ]

    async def models(self) -> list[Model]:
        """Those that requests may name, the default one first."""
        return [model for each in self.members for model in each.recipe.models]

    async def here(self) -> list[Model]:
        """None: a front has no models of its own."""
        return []

    async def looks(self, models: Sequence[Model]) -> list[Looks]:
        """As Managed's: what replicas see, whose machines have the files."""
        seen = {
            model: looks
            for each in self._parts
            if each.told
            for model, looks in each.told.looks.items()
        }
        return [seen[each] for each in models]

    async def digests(self, models: Sequence[Model]) -> list[str]:
        """As Managed's."""
        told = await asyncio.gather(*(_digests(each) for each in self._parts))
        found = {model: digest for each in told for model, digest in each.items()}
        return [found.get(each, "") for each in models]

    def manage(self) -> None:
        """Raise NotManaged."""
        raise NotManaged(_NOT_HERE)

    async def load(self, name: str) -> Shown:
        """Raise NotManaged."""
        raise NotManaged(_NOT_HERE)

    async def unload(self, name: str) -> Shown:
        """Raise NotManaged."""
        raise NotManaged(_NOT_HERE)

    async def ask(
        self, wanted: Wanted, about: str, given: Mapping[str, Any], *, computes: bool = False
    ) -> Any:
        """As Managed's; any of the replicas answers, and all of them about slots.

        Raises Unsupported for what would change one of them.
        """
        if about in _OF_ONE:
            raise Unsupported(_OF_ONE[about])
        if about == "slots":
            return await self._slots(wanted)
        shown, told = await self._told(wanted, about, given, computes=computes)
        shown.part.last_used = time.time()
        return told

    async def properties(self, wanted: Wanted) -> tuple[Shown, Mapping[str, Any]]:
        """As Managed's; any of the replicas tells."""
        shown, found = await self._told(wanted, PROPERTIES, {}, computes=False)
        assert isinstance(found, Properties)
        return replace(shown, status=found.status), found.told

    async def _slots(self, wanted: Wanted) -> list[dict[str, Any]]:
        """Those of each replica, with its name, numbered through."""
        shown, model = self._find(wanted)
        told = await _broadcast(shown.part, "slots", Wanted(model or wanted.name, wanted.kind))
        slots = [{**slot, "replica": name} for name, found in sorted(told) for slot in found]
        return [{**slot, "index": number} for number, slot in enumerate(slots)]

    async def _told(
        self, wanted: Wanted, about: str, given: Mapping[str, Any], *, computes: bool
    ) -> tuple[Shown, Any]:
        shown, model = self._find(wanted)
        wanted = Wanted(model or wanted.name, wanted.kind)
        question = Question(uuid.uuid4().hex, wanted, about, given, computes)
        _, first = await begun(shown.part.handle, model, question)
        assert isinstance(first, Told)
        return shown, first.value

    def using(self, files: Iterable[Path]) -> bool:
        """Whether a server may have one of ``files``: it always may."""
        return True

    def health(self) -> Health:
        """Ready once each server has told what it has."""
        ready = [each for each in self._parts if each.told is not None]
        if len(ready) == len(self._parts):
            return Health("ready", len(ready))
        problem = next((each.problem for each in self._parts if each.problem), None)
        return Health("unavailable" if problem else "loading", len(ready), problem)

    async def figures(self) -> dict[Source, Figures]:
        """What the models of each replica have done; those that do not tell are left out."""
        told = await asyncio.gather(*(_figures(each) for each in self._parts))
        return {source: found for each in told for source, found in each}

    def check(self, wanted: Wanted | None) -> None:
        """As Transport's."""
        if any(each.told is None for each in self._parts):
            raise Unavailable(_LOADING)

    def _find(self, wanted: Wanted) -> tuple[Shown, str]:
        """What serves it, and the name of its model where the part has several.

        Raises UnknownModel and Unavailable.
        """
        self.check(wanted)
        named = [each for each in self.members if wanted.name and each.recipe.serves(wanted.name)]
        if not named and wanted.name not in (None, DEFAULT) and len(self.members) > 1:
            known = ", ".join(model.id for each in self.members for model in each.recipe.models)
            raise UnknownModel(
                f"The model '{wanted.name}' does not exist; this server has {known}."
            )
        able = [
            each
            for each in self.members
            if wanted.kind is None or any(m.kind == wanted.kind for m in each.recipe.models)
        ]
        found = (named or able or self.members)[0]
        return found, found.recipe.models[0].name if found.part.several else ""

    @asynccontextmanager
    async def send(
        self, request: bytes, *, wanted: Wanted, computes: bool
    ) -> AsyncIterator[Answer]:
        """As Transport's. A replica that goes before it has answered anything loses nothing."""
        shown, model = self._find(wanted)
        part = shown.part
        ask = ask_for(request, Wanted(model or wanted.name, wanted.kind), computes=computes)
        whole = asyncio.timeout(self._timeout or None)
        try:
            async with whole:
                stream, head = await begun(part.handle, model, ask)
                assert isinstance(head, Head)
                answer = ReplicaAnswer(stream, head)
                try:
                    yield answer
                finally:
                    answer.close()
        except TimeoutError as error:
            if not whole.expired():
                raise
            message = f"the request was not answered within {self._timeout:g} s"
            raise TimedOut(f"{message}, as request-timeout says") from error
        finally:
            part.last_used = time.time()


async def _figures(part: Part) -> list[tuple[Source, Figures]]:
    """Of each model in each replica of ``part``."""
    return [
        (Source(model, replica), figures)
        for replica, models in await _broadcast(part, "figures")
        for model, figures in models.items()
    ]


async def _digests(part: Part) -> Mapping[Model, str]:
    """As a replica of ``part`` tells them; none if it does not."""
    if part.digests is None:
        try:
            part.digests = await part.handle.digests.remote()
        except (RayError, RayServeException) as error:
            _log.warning("%s does not tell its models' digests: %s", part.title, error)
    return part.digests or {}


async def _broadcast(part: Part, method: str, *arguments: Any) -> list[Any]:
    """What each replica of ``part`` answers; those that do not are left out."""
    try:
        found = await part.handle.broadcast(method, *arguments).results_async(
            timeout_s=_ASK, return_exceptions=True
        )
    except (TimeoutError, RayError, RayServeException):
        return []
    return [each for each in found if not isinstance(each, BaseException)]
