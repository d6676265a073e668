"""How the server is, and what it has done."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from .fleet.recipe import Model

Engines = Mapping[str, Mapping[str, Any]]
"""What each engine has done, by its name: Counters of llamaedge_host as JSON."""


@dataclass(frozen=True)
class Health:
    """``status`` is ready, loading or unavailable, and ``message`` what is wrong then.

    ``guests`` is the number of those that take requests.
    """

    status: str
    guests: int
    message: str | None = None


@dataclass(frozen=True)
class Figures:
    """Requests that guests answer and that wait for one, restarts since the server began.

    ``engines`` is empty while no worker can tell.
    """

    requests_processing: int
    requests_deferred: int
    guests: int
    guest_restarts: int
    worker_restarts: int
    engines: Engines


class Source(NamedTuple):
    """Whose figures they are: those of a model, and in which replica of its server if it has any.

    ``model`` is the id of the first one that the server has.
    """

    model: str
    replica: str = ""


class Watched(Protocol):
    """What can be asked how it is, and for whose models."""

    async def models(self) -> Iterable[Model]:
        """Those that requests may name, the default one first."""

    def health(self) -> Health:
        """How it is now."""

    async def figures(self) -> Mapping[Source, Figures]:
        """What the guests of each have done."""
