"""The index of an archive: what can be read from the disk again, in the order of time."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from ..database import Database, discard

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


_COLUMNS = ", ".join(field.name for field in fields(StoredFile))
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, filename TEXT NOT NULL,"
    " bytes INTEGER NOT NULL, created INTEGER NOT NULL, purpose TEXT NOT NULL)"
)
_ALL = f"SELECT {_COLUMNS} FROM files"


class Index:
    """A table of StoredFile in SQLite, for several threads and processes.

    One that is damaged is begun anew, empty. Every method raises OSError where SQLite cannot
    read or write.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, (_SCHEMA, _ALL), give_up=discard)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def put(self, file: StoredFile) -> None:
        """Add ``file``, or replace the one of its id."""
        with self._database.using() as database:
            database.execute(
                f"INSERT OR REPLACE INTO files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", astuple(file)
            )

    def remove(self, ids: Iterable[str]) -> None:
        """Forget the files of ``ids``."""
        with self._database.using() as database:
            database.executemany("DELETE FROM files WHERE id = ?", [(each,) for each in ids])

    def get(self, id_: str) -> StoredFile | None:
        """The file of this id, if it is there."""
        found = self._select("WHERE id = ?", id_)
        return found[0] if found else None

    def ids(self) -> set[str]:
        """All ids."""
        with self._database.using() as database:
            return {id_ for (id_,) in database.execute("SELECT id FROM files")}

    def page(
        self, *, limit: int, newest_first: bool, after: StoredFile | None, purpose: str | None
    ) -> list[StoredFile]:
        """At most ``limit`` files in the order of time, those that come after ``after``."""
        way, beyond = ("DESC", "<") if newest_first else ("ASC", ">")
        conditions, values = ["TRUE"], list[object]()
        if after is not None:
            conditions.append(f"(created, id) {beyond} (?, ?)")
            values += [after.created, after.id]
        if purpose is not None:
            conditions.append("purpose = ?")
            values.append(purpose)
        rule = f"WHERE {' AND '.join(conditions)} ORDER BY created {way}, id {way} LIMIT ?"
        return self._select(rule, *values, limit)

    def _select(self, rule: str, *values: object) -> list[StoredFile]:
        with self._database.using() as database:
            rows = database.execute(f"{_ALL} {rule}", values)
            return [StoredFile(*row) for row in rows]
