"""What the files of a model say, on the machine where they are."""

from dataclasses import dataclass
from pathlib import Path

from ..models import fit
from ..models.facts import Facts, facts, senses
from .recipe import Model, version


@dataclass(frozen=True)
class Looks:
    """``size`` is in bytes of files, ``needed`` of memory.

    ``senses`` are what it takes beside text, by its projector; ``modified`` is when its file was
    changed, in seconds since 1970, None if there is none.
    """

    facts: Facts
    senses: tuple[str, ...]
    size: int
    needed: int
    modified: float | None


def looks(model: Model) -> Looks:
    """Of a model of this machine. Blocks."""
    eye = model.projector
    files = [path for path in (model.path, eye) if path is not None]
    return Looks(
        facts(model.path, model.version),
        senses(eye, version(eye)) if eye is not None else (),
        fit.size_of(files),
        fit.needed_for(files),
        _modified(model.path),
    )


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
