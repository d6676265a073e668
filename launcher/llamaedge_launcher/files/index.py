"""What is known of files, in the order of time."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields

from ..storage.database import Database, Schema

_NS = 1_000_000_000


@dataclass(frozen=True)
class StoredFile:
    """A file; ``created`` is in nanoseconds since 1970, ``bytes`` its size."""

    id: str
    filename: str
    bytes: int
    created: int
    purpose: str

    @property
    def created_at(self) -> int:
        """When it was stored, in seconds since 1970."""
        return self.created // _NS


COLUMNS = ", ".join(field.name for field in fields(StoredFile))
_ALL = f"SELECT {COLUMNS} FROM files"
INDEX = Schema(
    "files.sqlite3",
    tables=(
        "CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, filename TEXT NOT NULL,"
        " bytes BIGINT NOT NULL, created BIGINT NOT NULL, purpose TEXT NOT NULL)",
    ),
    reads=(_ALL,),
    disposable=True,
)


class Listing:
    """The table of StoredFile in ``database``; every method raises OSError."""

    _RULE = "TRUE"
    """What is true of those that are there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def get(self, id_: str) -> StoredFile | None:
        """The file of this id, if it is there."""
        found = self._select([self._RULE, "id = ?"], id_)
        return found[0] if found else None

    def page(
        self, *, limit: int, newest_first: bool, after: StoredFile | None, purpose: str | None
    ) -> list[StoredFile]:
        """At most ``limit`` files in the order of time, those that come after ``after``."""
        way, beyond = ("DESC", "<") if newest_first else ("ASC", ">")
        conditions, values = [self._RULE], list[object]()
        if after is not None:
            conditions.append(f"(created, id) {beyond} (?, ?)")
            values += [after.created, after.id]
        if purpose is not None:
            conditions.append("purpose = ?")
            values.append(purpose)
        order = f"ORDER BY created {way}, id {way} LIMIT ?"
        return self._select(conditions, *values, limit, order=order)

    def _select(
        self, conditions: Sequence[str], *values: object, order: str = ""
    ) -> list[StoredFile]:
        with self._database.using() as database:
            rows = database.execute(f"{_ALL} WHERE {' AND '.join(conditions)} {order}", values)
            return [StoredFile(*row) for row in rows]


class Index(Listing):
    """What a folder holds, in SQLite."""

    def put(self, file: StoredFile) -> None:
        """Add ``file``, or replace the one of its id."""
        with self._database.using() as database:
            database.execute(
                f"INSERT OR REPLACE INTO files ({COLUMNS}) VALUES (?, ?, ?, ?, ?)", astuple(file)
            )

    def remove(self, ids: Iterable[str]) -> None:
        """Forget the files of ``ids``."""
        with self._database.using() as database:
            database.executemany("DELETE FROM files WHERE id = ?", [(each,) for each in ids])

    def ids(self) -> set[str]:
        """All ids."""
        with self._database.using() as database:
            return {id_ for (id_,) in database.execute("SELECT id FROM files")}
