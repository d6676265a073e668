"""The vector stores and the files in them."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..storage.database import Connection, Database, Schema
from .records import CANCELLED, COMPLETED, FAILED, IN_PROGRESS, STATUSES, Batch, Entry, Store, Usage
from .tables import BATCHES, ENTRIES, STORES, Page

CATALOGUE = Schema(
    "vector_stores.sqlite3",
    tables=(
        *(each.created for each in (STORES, ENTRIES, BATCHES)),
        "CREATE INDEX IF NOT EXISTS entries_by_status ON entries (status, number)",
        "CREATE INDEX IF NOT EXISTS entries_by_file ON entries (file)",
        "CREATE INDEX IF NOT EXISTS entries_by_batch ON entries (batch)",
    ),
    reads=(STORES.read, ENTRIES.read, BATCHES.read),
)
_IS_STORE, _IS_ENTRY, _IS_NUMBER = "id = ?", "store = ? AND file = ?", "number = ?"


class Catalogue:
    """Stores, entries and batches, in a ``database`` of CATALOGUE.

    ``owner`` names this process in the entries that it works on. Every method raises OSError.
    """

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add_store(self, store: Store) -> None:
        """Add a store."""
        with self._database.using() as database:
            STORES.insert(database, store)

    def store(self, id_: str) -> Store | None:
        """The store of this id, if there is one."""
        with self._database.using() as database:
            return next(iter(STORES.select(database, _IS_STORE, id_)), None)

    def stores(self, page: Page) -> list[Store]:
        """A page of all stores."""
        with self._database.using() as database:
            return STORES.page(database, page, {})

    def change_store(self, id_: str, **changes: object) -> None:
        """Set fields of a store."""
        with self._database.using() as database:
            STORES.update(database, changes, _IS_STORE, id_)

    def touch(self, id_: str) -> None:
        """A store is in use."""
        self.change_store(id_, active=int(time.time()))

    def bind(self, id_: str, model: str, probe: bytes) -> Store | None:
        """The store, which remembers this embedding model unless it remembers one."""
        with self._database.changing() as database:
            known = {"model": model, "probe": probe}
            STORES.update(database, known, f"{_IS_STORE} AND probe IS NULL", id_)
            return next(iter(STORES.select(database, _IS_STORE, id_)), None)

    def remove_store(self, id_: str) -> list[int] | None:
        """The numbers of the entries that went with the store; None if there was none."""
        with self._database.changing() as database:
            gone = database.execute("DELETE FROM stores WHERE id = ?", (id_,)).rowcount
            numbers = _taken(database, "store = ?", id_)
            database.execute("DELETE FROM batches WHERE store = ?", (id_,))
        return numbers if gone else None

    def empty_store(self, id_: str) -> list[int]:
        """The numbers of the entries that were in the store."""
        with self._database.changing() as database:
            return _taken(database, "store = ?", id_)

    def add(self, entries: Sequence[Entry], batch: Batch | None = None) -> list[int]:
        """Add entries to be indexed; the numbers of those that they take the place of."""
        replaced: list[int] = []
        with self._database.changing() as database:
            if batch is not None:
                BATCHES.insert(database, batch)
            for each in entries:
                replaced += _taken(database, _IS_ENTRY, each.store, each.file)
                ENTRIES.insert(database, replace(each, owner=self._owner))
            for store in {each.store for each in entries}:
                STORES.update(database, {"active": int(time.time())}, _IS_STORE, store)
        return replaced

    def entry(self, store: str, file: str) -> Entry | None:
        """The entry of a file in a store, if it is there."""
        with self._database.using() as database:
            return next(iter(ENTRIES.select(database, _IS_ENTRY, store, file)), None)

    def entries(self, page: Page, **where: object) -> list[Entry]:
        """A page of the entries whose fields are as ``where`` says."""
        with self._database.using() as database:
            return ENTRIES.page(database, page, where)

    def completed(self, store: str) -> list[Entry]:
        """The entries of a store that can be searched."""
        with self._database.using() as database:
            return ENTRIES.select(database, "store = ? AND status = ?", store, COMPLETED)

    def change_entry(self, store: str, file: str, **changes: object) -> None:
        """Set fields of an entry."""
        with self._database.using() as database:
            ENTRIES.update(database, changes, _IS_ENTRY, store, file)

    def remove(self, store: str | None, file: str) -> list[int]:
        """The numbers of a file's entries that are gone: in one store, or for None in all."""
        where, values = ("file = ?", [file]) if store is None else (_IS_ENTRY, [store, file])
        with self._database.changing() as database:
            return _taken(database, where, *values)

    def usage(self, **where: object) -> Usage:
        """What the entries take whose fields are as ``where`` says."""
        rule = " AND ".join(f"{column} = ?" for column in where)
        sums = "count(*), CAST(sum(usage) AS BIGINT)"
        query = f"SELECT status, {sums} FROM entries WHERE {rule} GROUP BY status"
        with self._database.using() as database:
            rows = database.execute(query, list(where.values())).fetchall()
        counts = {status: number for status, number, _ in rows}
        return Usage(
            {status: counts.get(status, 0) for status in STATUSES}, sum(row[2] for row in rows)
        )

    def batch(self, id_: str) -> Batch | None:
        """The batch of this id, if there is one."""
        with self._database.using() as database:
            return next(iter(BATCHES.select(database, "id = ?", id_)), None)

    def cancel(self, id_: str) -> list[int]:
        """Stop what a batch has not done; the numbers of those entries."""
        undone = "batch = ? AND status = ?"
        with self._database.changing() as database:
            found = ENTRIES.select(database, undone, id_, IN_PROGRESS)
            ENTRIES.update(database, {"status": CANCELLED}, undone, id_, IN_PROGRESS)
            BATCHES.update(database, {"cancelled": True}, "id = ?", id_)
        return [each.number for each in found]

    def next(self, besides: Iterable[int]) -> Entry | None:
        """The first entry that this process is to index, besides those that it does index."""
        busy = ", ".join(map(str, (0, *besides)))
        rule = f"status = ? AND owner = ? AND number NOT IN ({busy}) ORDER BY number LIMIT 1"
        with self._database.using() as database:
            return next(iter(ENTRIES.select(database, rule, IN_PROGRESS, self._owner)), None)

    def is_wanted(self, number: int) -> bool:
        """Whether an entry is still to be indexed."""
        rule = f"{_IS_NUMBER} AND status = ?"
        with self._database.using() as database:
            return bool(ENTRIES.select(database, rule, number, IN_PROGRESS))

    def complete(self, number: int, *, chunks: int, usage: int) -> bool:
        """An entry can be searched from now on; False if it is no longer wanted."""
        changes = {"status": COMPLETED, "chunks": chunks, "usage": usage}
        return self._end(number, changes)

    def fail(self, number: int, code: str, message: str) -> bool:
        """An entry cannot be indexed."""
        return self._end(number, {"status": FAILED, "error_code": code, "error": message})

    def _end(self, number: int, changes: Mapping[str, object]) -> bool:
        rule = f"{_IS_NUMBER} AND status = ?"
        with self._database.using() as database:
            return bool(ENTRIES.update(database, changes, rule, number, IN_PROGRESS))

    def owners(self) -> set[str]:
        """Who has begun entries that are not done."""
        query = "SELECT DISTINCT owner FROM entries WHERE status = ?"
        with self._database.using() as database:
            return {owner for (owner,) in database.execute(query, (IN_PROGRESS,))}

    def take_over(self, owner: str) -> list[int]:
        """Do what another process had begun, from the start; the numbers that it had there.

        It may not be gone after all, but slow: what it still does under those is nobody's.
        """
        with self._database.changing() as database:
            begun = ENTRIES.select(database, "owner = ? AND status = ?", owner, IN_PROGRESS)
            for each in begun:
                _taken(database, _IS_NUMBER, each.number)
                ENTRIES.insert(database, replace(each, number=0, owner=self._owner))
        return [each.number for each in begun]

    def chunks(self) -> dict[int, int]:
        """The numbers of chunks that those should have that can be searched, by their numbers."""
        with self._database.using() as database:
            found = ENTRIES.select(database, "status = ?", COMPLETED)
        return {each.number: each.chunks for each in found}

    def agree(self, known: Mapping[int, int], indexed: Mapping[int, int]) -> list[int]:
        """Index again of ``known`` what has other numbers of chunks.

        ``known`` is what chunks() said before ``indexed`` was counted. Returns the numbers of those
        that are no entry's, or are to be indexed again.
        """
        lost = [number for number, chunks in known.items() if indexed.get(number, 0) != chunks]
        again = {"status": IN_PROGRESS, "owner": self._owner}
        with self._database.changing() as database:
            for number in lost:
                ENTRIES.update(database, again, f"{_IS_NUMBER} AND status = ?", number, COMPLETED)
            entries = {each.number: each for each in ENTRIES.select(database)}
        ended = {number for number in indexed if _is_left(entries.get(number))}
        return [*lost, *ended]


def _taken(database: Connection, rule: str, *values: object) -> list[int]:
    """The numbers of the entries of which ``rule`` is true, which are none from now on."""
    numbers = [each.number for each in ENTRIES.select(database, rule, *values)]
    database.execute(f"DELETE FROM entries WHERE {rule}", values)
    return numbers


def _is_left(entry: Entry | None) -> bool:
    """Whether chunks are nobody's: of no entry, or of one that will not be completed."""
    return entry is None or entry.status in (FAILED, CANCELLED)
