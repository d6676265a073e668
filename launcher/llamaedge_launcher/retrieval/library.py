"""The vector stores of a data folder: their catalogue and their vectors, which agree."""

import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ..database import Damaged, discard
from ..locks import hold, locked
from .catalogue import Catalogue
from .filters import Filter
from .records import Batch, Entry, Hit, Vectors
from .vectors import VectorIndex

Result = TypeVar("Result")
_log = logging.getLogger(__name__)

CATALOGUE = "vector_stores.sqlite3"
_VECTORS = "vectors.sqlite3"
_OWNERS = "indexing"


class Library:
    """The stores in ``folder``, which several processes may share.

    What a process that is gone left undone is this one's to do. Every method raises OSError.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owners = folder / _OWNERS
        owners.mkdir(mode=0o700, exist_ok=True)
        self._mark = owners / uuid.uuid4().hex
        self._vectors_path = folder / _VECTORS
        self.catalogue = Catalogue(folder / CATALOGUE, self._mark.name)
        with locked(owners):
            self._mark.touch(mode=0o600)
            self._held = hold(self._mark)
            self._take_over(owners)
        self._vectors = VectorIndex(self._vectors_path)
        self._renewing = threading.Lock()
        self._agree()

    def close(self) -> None:
        """Close the databases. What is not done is left for the next process."""
        self.catalogue.close()
        self._vectors.close()
        self._mark.unlink(missing_ok=True)
        if self._held is not None:
            os.close(self._held)

    def _take_over(self, owners: Path) -> None:
        """Do what processes left undone that hold their mark no more, and remove the mark."""
        there = {each.name for each in owners.iterdir()}
        for owner in there | self.catalogue.owners():
            mark = owners / owner
            held = hold(mark) if owner in there else None
            if owner in there and held is None:
                continue
            self.catalogue.take_over(owner)
            mark.unlink(missing_ok=True)
            if held is not None:
                os.close(held)

    def _agree(self) -> None:
        self._vectors.remove(self.catalogue.agree(self._vectors.entries()))

    def guarded(self, work: Callable[[VectorIndex], Result]) -> Result:
        """What ``work`` makes of the vectors; an index that is damaged is begun anew."""
        vectors = self._vectors
        try:
            return work(vectors)
        except Damaged:
            with self._renewing:
                if vectors is self._vectors:
                    self._renew()
            raise

    def _renew(self) -> None:
        _log.warning("%s is damaged; files are indexed again", self._vectors_path)
        with suppress(OSError):
            self._vectors.close()
        discard(self._vectors_path)
        self._vectors = VectorIndex(self._vectors_path)
        self._agree()

    def add(self, entries: list[Entry], batch: Batch | None = None) -> None:
        """Add entries, which are to be indexed, in the place of those of the same files."""
        self.forget(self.catalogue.add(entries, batch))

    def forget(self, numbers: Iterable[int]) -> None:
        """Remove the chunks of entries."""
        gone = list(numbers)
        if gone:
            self.guarded(lambda vectors: vectors.remove(gone))

    def texts(self, number: int) -> Iterator[str]:
        """The chunks of an entry in their order."""
        return self._vectors.texts(number)

    def remove_store(self, id_: str) -> bool:
        """Whether there was such a store; there is none afterwards."""
        numbers = self.catalogue.remove_store(id_)
        self.forget(numbers or ())
        return numbers is not None

    def search(
        self, store: str, questions: Vectors, keep: Filter | None, *, most: int, threshold: float
    ) -> list[tuple[Entry, Hit]]:
        """The chunks nearest to ``questions`` in the files that ``keep`` keeps."""
        entries = {
            each.number: each
            for each in self.catalogue.completed(store)
            if keep is None or keep(each.attributes)
        }

        def find(vectors: VectorIndex) -> list[Hit]:
            return vectors.search(entries, questions, most=most, threshold=threshold)

        return [(entries[each.entry], each) for each in self.guarded(find)]
