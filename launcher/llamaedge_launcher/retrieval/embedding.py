"""What retrieval asks of an embedding model, and how long texts go to it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .records import Store, Vectors

PROBE = "What do these words mean?"
"""A text that goes along with every request: its vector tells one model from another."""
_SAME = 0.98  # cosine, above which two vectors of the probe are one model's
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds


class Refused(Exception):
    """The texts cannot be embedded, and trying again will not help.

    ``missing`` says that there is no such model, ``too_long`` that a text is longer than the
    model takes.
    """

    def __init__(self, message: str, *, missing: bool = False, too_long: bool = False) -> None:
        super().__init__(message)
        self.missing = missing
        self.too_long = too_long


class Busy(Exception):
    """No answer now; ``cause`` is what stood in the way."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Embedder(Protocol):
    """The way to the embedding models."""

    async def embed(self, texts: Sequence[str], model: str | None) -> tuple[Vectors, str]:
        """The vectors of ``texts``, each of length 1, and the name of the model that made them.

        ``model`` is the one that is wanted, None any. Raises Refused and Busy.
        """


@dataclass(frozen=True)
class Embedded:
    """``vectors`` of texts, by the model of this name, and the vector that it gives PROBE."""

    vectors: Vectors
    model: str
    probe: Vectors


async def embed(embedder: Embedder, texts: Sequence[str], model: str | None) -> Embedded:
    """The vectors of ``texts``, of any length.

    A text longer than the model takes has the mean of its parts' vectors, by their lengths.
    Raises Refused and Busy.
    """
    import numpy as np

    try:
        found, name = await embedder.embed([PROBE, *texts], model)
        return Embedded(found[1:], name, found[0])
    except Refused as error:
        if not error.too_long:
            raise
    (probe,), name = await embedder.embed([PROBE], model)
    rows = [await _row(embedder, text, model) for text in texts]
    return Embedded(np.array(rows, np.float32), name, probe)


async def _row(embedder: Embedder, text: str, model: str | None) -> Vectors:
    import numpy as np

    try:
        found, _ = await embedder.embed([text], model)
        row: Vectors = found[0]
        return row
    except Refused as error:
        if not error.too_long or len(text) < 2:
            raise
    parts = _halves(text)
    rows = [len(part) * await _row(embedder, part, model) for part in parts]
    mean: Vectors = np.sum(rows, axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def _halves(text: str) -> list[str]:
    """Two parts of about the same length, cut at a space where there is one near."""
    middle = len(text) // 2
    space = text.rfind(" ", middle // 2, middle)
    cut = space if space > 0 else middle
    return [part for part in (text[:cut], text[cut:]) if part.strip()]


async def patiently(
    embedder: Embedder, texts: Sequence[str], model: str | None, *, patience: float
) -> Embedded:
    """As embed(), tried again for ``patience`` seconds while the model is busy."""
    pause, deadline = _FIRST_PAUSE, asyncio.get_running_loop().time() + patience
    while True:
        try:
            return await embed(embedder, texts, model)
        except Busy as error:
            if asyncio.get_running_loop().time() + pause > deadline:
                raise Refused(f"the embedding model did not answer: {error}") from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def check_same(store: Store, found: Embedded) -> None:
    """Raise Refused unless ``found`` is of the embedding model that ``store`` remembers."""
    if store.probe is None:
        return
    import numpy as np

    known = np.frombuffer(store.probe, np.float32)
    if known.shape == found.probe.shape and float(known @ found.probe) >= _SAME:
        return
    raise Refused(
        f"the vectors of {store.id} are the embedding model {store.model}'s, of {len(known)}"
        f" numbers, and this server embeds with {found.model}, of {len(found.probe)}; start it with"
        f" that model (--embeddings), or make a new store and add the files to it",
        missing=True,
    )
