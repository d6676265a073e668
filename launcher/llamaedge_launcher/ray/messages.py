"""What a front and a replica tell each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..affinity import Prefix
from ..control import ModelSize
from ..fleet.looks import Looks
from ..fleet.member import Status
from ..fleet.recipe import Model, Recipe, Wanted


@dataclass(frozen=True)
class Ask:
    """A request of HTTP/1.1, and what it is for; its ``id`` stays when it is sent again."""

    id: str
    request: bytes
    wanted: Wanted
    computes: bool
    prefix: Prefix | None = None


@dataclass(frozen=True)
class Question:
    """What a worker itself is asked, as Managed's ``ask``; about PROPERTIES it tells Properties."""

    id: str
    wanted: Wanted
    about: str
    given: Mapping[str, Any]
    computes: bool = False
    prefix: None = None


PROPERTIES = "properties"


@dataclass(frozen=True)
class Properties:
    """What a worker tells of its model, and where that stands."""

    status: Status
    told: Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """The answer to a question."""

    value: Any


@dataclass(frozen=True)
class Head:
    """The beginning of an answer, whose body follows in pieces."""

    status: int
    headers: list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Refused:
    """In the place of an answer or of the rest of it: what Transport.send raises."""

    error: Exception


@dataclass(frozen=True)
class Description:
    """What a replica has, of each model what its files say.

    ``sizes`` are those of the recipes' models that are known, by their ids.
    """

    replica: str
    recipes: tuple[Recipe, ...]
    looks: dict[Model, Looks]
    sizes: dict[str, ModelSize]
