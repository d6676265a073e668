"""Records as rows of a database's tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

from ..storage.database import Connection
from .records import Batch, Entry, Store

Record = TypeVar("Record", Store, Entry, Batch)
_JSON = {"metadata", "attributes"}


@dataclass(frozen=True)
class Table(Generic[Record]):
    """The table ``name`` of records, each a row; ``key`` tells two of the same time apart."""

    name: str
    kind: type[Record]
    key: str
    columns: str
    """Of the table, as CREATE TABLE has them."""

    @property
    def created(self) -> str:
        """The statement that makes the table."""
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({self.columns})"

    @property
    def read(self) -> str:
        """The statement that reads all of it."""
        return f"SELECT {self._names} FROM {self.name}"

    @property
    def _names(self) -> str:
        return ", ".join(each.name for each in fields(self.kind))

    def select(self, database: Connection, rule: str = "TRUE", *values: object) -> list[Record]:
        """The records of which ``rule`` is true."""
        names = [each.name for each in fields(self.kind)]
        rows = database.execute(f"SELECT {self._names} FROM {self.name} WHERE {rule}", values)
        return [
            self.kind(**{name: _read(name, value) for name, value in zip(names, row, strict=True)})
            for row in rows
        ]

    def page(
        self, database: Connection, wanted: "Page", where: Mapping[str, object]
    ) -> list[Record]:
        """The records whose columns are as ``where`` says, at most as many as are wanted."""
        conditions = [f"{column} = ?" for column in where]
        values = list(where.values())
        newest_first = wanted.newest_first is not wanted.backwards
        for cursor, follows in ((wanted.after, True), (wanted.before, False)):
            if cursor is not None:
                older = wanted.newest_first is follows
                conditions.append(f"(created, {self.key}) {'<' if older else '>'} (?, ?)")
                values += cursor
        way = "DESC" if newest_first else "ASC"
        rule = " AND ".join(conditions or ["TRUE"])
        rule = f"{rule} ORDER BY created {way}, {self.key} {way} LIMIT ?"
        found = self.select(database, rule, *values, wanted.limit)
        return found[::-1] if wanted.backwards else found

    def insert(self, database: Connection, record: Record) -> None:
        """Add a record; an entry gets its number."""
        row = {each.name: getattr(record, each.name) for each in fields(record)}
        if row.get("number") == 0:
            del row["number"]
        marks = ", ".join("?" * len(row))
        database.execute(
            f"INSERT INTO {self.name} ({', '.join(row)}) VALUES ({marks})",
            [_written(name, value) for name, value in row.items()],
        )

    def update(
        self,
        database: Connection,
        changes: Mapping[str, object],
        rule: str,
        *values: object,
    ) -> int:
        """Change the records of which ``rule`` is true; how many those are."""
        changed = ", ".join(f"{name} = ?" for name in changes)
        row: list[Any] = [_written(name, value) for name, value in changes.items()]
        return database.execute(
            f"UPDATE {self.name} SET {changed} WHERE {rule}", (*row, *values)
        ).rowcount


@dataclass(frozen=True, kw_only=True)
class Page:
    """A part of a list in the order of time.

    At most ``limit`` records, those that follow ``after`` or that lie before ``before``: the
    time of a record and its key.
    """

    limit: int
    newest_first: bool = True
    after: Sequence[object] | None = None
    before: Sequence[object] | None = None

    @property
    def backwards(self) -> bool:
        """Whether it is the last records before a place that are wanted."""
        return self.before is not None and self.after is None


def _read(name: str, value: Any) -> Any:
    return json.loads(value) if name in _JSON else bool(value) if name == "cancelled" else value


def _written(name: str, value: Any) -> Any:
    return json.dumps(value) if name in _JSON else value


STORES = Table(
    "stores",
    Store,
    "id",
    "id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, metadata TEXT NOT NULL,"
    " created BIGINT NOT NULL, active BIGINT NOT NULL, days BIGINT, model TEXT, probe BLOB",
)
ENTRIES = Table(
    "entries",
    Entry,
    "file",
    "number INTEGER PRIMARY KEY AUTOINCREMENT, store TEXT NOT NULL, file TEXT NOT NULL,"
    " filename TEXT NOT NULL, attributes TEXT NOT NULL, created BIGINT NOT NULL,"
    " status TEXT NOT NULL, error_code TEXT, error TEXT, most BIGINT NOT NULL,"
    " overlap BIGINT NOT NULL, chunks BIGINT NOT NULL, usage BIGINT NOT NULL, batch TEXT,"
    " owner TEXT NOT NULL, UNIQUE (store, file)",
)
BATCHES = Table(
    "batches",
    Batch,
    "id",
    "id TEXT PRIMARY KEY, store TEXT NOT NULL, created BIGINT NOT NULL, cancelled BOOLEAN NOT NULL",
)
