"""From how a model is named to its files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .reference import HubModel, Reference, WebModel

if TYPE_CHECKING:
    from .store import Stored

Fetch = Callable[[HubModel | WebModel], "Stored"]


@dataclass(frozen=True)
class Resolved:
    """The file that a server is given, and the projector that came with it.

    ``name`` is what to run the model by.
    """

    name: str
    path: Path
    projector: Path | None = None


def resolve(model: Reference, fetch: Fetch) -> Resolved:
    """``model``'s files: as they are here, without asking the hub, or as ``fetch`` brings them.

    Raises LauncherError.
    """
    if isinstance(model, Path):
        return Resolved(str(model), model)
    from . import store

    found = store.find(model) or fetch(model)
    return Resolved(found.name, found.path, found.projector)


def api_name(model: Reference) -> str:
    """What a server calls ``model``: as it was named, of a file the name without its ending."""
    name = str(model) if isinstance(model, HubModel) else Path(model.name).stem
    return name.replace(",", "-")
