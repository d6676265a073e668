"""The index of an archive: what can be read from the disk again, in the order of time."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path

_DAMAGED = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
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


class Index:
    """A table of StoredFile in SQLite, for several threads and processes.

    One that is damaged is begun anew, empty. Every method raises OSError where SQLite cannot
    read or write.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._database = _open(path)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in _DAMAGED:
                raise OSError(f"{path}: {error}") from error
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._database = _open(path)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def put(self, file: StoredFile) -> None:
        """Add ``file``, or replace the one of its id."""
        with self._using() as database:
            database.execute(
                f"INSERT OR REPLACE INTO files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", astuple(file)
            )

    def remove(self, ids: Iterable[str]) -> None:
        """Forget the files of ``ids``."""
        with self._using() as database:
            database.executemany("DELETE FROM files WHERE id = ?", [(each,) for each in ids])

    def get(self, id_: str) -> StoredFile | None:
        """The file of this id, if it is there."""
        found = self._select("WHERE id = ?", id_)
        return found[0] if found else None

    def ids(self) -> set[str]:
        """All ids."""
        with self._using() as database:
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
        with self._using() as database:
            rows = database.execute(f"SELECT {_COLUMNS} FROM files {rule}", values)
            return [StoredFile(*row) for row in rows]

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._database
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):
                    self._database.rollback()
                raise OSError(f"the index of files: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(_SCHEMA)
        database.execute(f"SELECT {_COLUMNS} FROM files").fetchall()
    except sqlite3.Error:
        database.close()
        raise
    return database
