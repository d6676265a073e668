"""What a server's models are to its public side."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..control import ModelSize
from ..health import Watched
from .looks import Looks
from .member import Status
from .recipe import Model, Recipe, Wanted


class Shown(Protocol):
    """A member of a fleet, as it is shown."""

    @property
    def recipe(self) -> Recipe:
        """What serves it."""

    @property
    def status(self) -> Status:
        """Where it stands."""

    @property
    def problem(self) -> str | None:
        """Why it failed."""

    @property
    def last_used(self) -> float | None:
        """When its last request ended, in seconds since 1970."""

    @property
    def expires(self) -> float | None:
        """When it will have been idle too long, in seconds since 1970; None if it stays."""

    @property
    def sizes(self) -> Mapping[Model, ModelSize]:
        """What each model takes; empty while that is not known."""


class Managed(Watched, Protocol):
    """Models that are shown, and loaded and removed where requests may do that."""

    @property
    def members(self) -> Sequence[Shown]:
        """What is known to it, the default one first."""

    async def here(self) -> list[Model]:
        """The models of this machine that no member serves."""

    async def looks(self, models: Sequence[Model]) -> Sequence[Looks]:
        """What the files say of each of ``models``, which are known to it or here."""

    async def digests(self, models: Sequence[Model]) -> Sequence[str]:
        """The digest of each of their files, "" for one that cannot be read; may take a while."""

    def manage(self) -> None:
        """Raise ModelRefused where requests may load, fetch and remove no models."""

    async def load(self, name: str) -> Shown:
        """Load the model that is called ``name``. Raises ModelRefused."""

    async def unload(self, name: str) -> Shown:
        """Unload the model that is called ``name``. Raises ModelRefused."""

    async def ask(
        self, wanted: Wanted, about: str, given: Mapping[str, Any], *, computes: bool = False
    ) -> Any:
        """What the worker that serves what is ``wanted`` answers to a question about its models.

        Raises ModelRefused, Unavailable, Overloaded, and Failures of asking. A question that
        ``computes`` counts as one of the requests that guests answer.
        """

    async def properties(self, wanted: Wanted) -> tuple[Shown, Mapping[str, Any]]:
        """Who serves what is ``wanted``, and what its worker tells of it. Raises as ask() does."""

    def using(self, files: Iterable[Path]) -> bool:
        """Whether one of ``files`` serves a model now, or is about to."""
