"""The vector stores of some records: their catalogue and their vectors, which agree."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from ..storage.database import Damaged
from ..storage.records import Records
from .catalogue import CATALOGUE, Catalogue
from .filters import Filter
from .records import Batch, Entry, Hit, Vectors
from .vectors import VECTORS, VectorIndex

Result = TypeVar("Result")
_log = logging.getLogger(__name__)


class Library:
    """The stores in ``records``, which several processes may share.

    What a process that is gone left undone is this one's to do; ``on_work`` is called where that is
    found later. Every method raises OSError.
    """

    def __init__(self, records: Records, on_work: Callable[[], None]) -> None:
        self._records = records
        self._on_work = on_work
        self._owner = records.owner()
        self.catalogue = Catalogue(records.database(CATALOGUE), self._owner.name)
        self._vectors = VectorIndex(records.database(VECTORS))
        self._renewing = threading.Lock()
        self._agree()
        self._take_over()
        records.watch(self._look)

    def close(self) -> None:
        """Close the databases. What is not done is left for the next process."""
        self.catalogue.close()
        self._vectors.close()
        self._owner.close()

    def _look(self) -> None:
        if self._take_over():
            self._on_work()

    def _take_over(self) -> bool:
        """Whether something is to be done that processes left undone that are gone."""
        begun = self.catalogue.owners()
        gone = begun - self._owner.alive()
        numbers = [number for owner in gone for number in self.catalogue.take_over(owner)]
        self.forget(numbers)
        return bool(numbers)

    def _agree(self) -> None:
        known = self.catalogue.chunks()
        self._vectors.remove(self.catalogue.agree(known, self._vectors.entries()))

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
        _log.warning("%s is damaged; files are indexed again", VECTORS.name)
        with suppress(OSError):
            self._vectors.close()
        self._records.discard(VECTORS)
        self._vectors = VectorIndex(self._records.database(VECTORS))
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
