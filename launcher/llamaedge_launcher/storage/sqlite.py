"""A SQLite database for several threads and processes of one machine."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .database import Damaged, Schema

_DAMAGED = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PRAGMAS = (
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
)


def discard(path: Path) -> None:
    """Remove the database at ``path``."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def put_aside(path: Path) -> None:
    """Give the database at ``path`` another name, for a person to look at."""
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(f"{path.name}.damaged{suffix}"))


class SqliteDatabase:
    """A Database in ``folder``, with a write-ahead log.

    Every method raises OSError where SQLite cannot read or write, Damaged where it never will.
    """

    def __init__(self, folder: Path, schema: Schema) -> None:
        self._path = folder / schema.name
        self._lock = threading.RLock()
        try:
            self._connection = _open(self._path, schema)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise OSError(f"{self._path}: {error}") from error
            (discard if schema.disposable else put_aside)(self._path)
            self._connection = _open(self._path, schema)

    def close(self) -> None:
        """As Database's."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """As Database's."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise self._told(error) from error

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """As Database's."""
        with self.using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """As Database's."""
        try:
            connection = sqlite3.connect(self._path, isolation_level=None)
            try:
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise self._told(error) from error

    def among(self, column: str) -> str:
        """As Database's."""
        return f"{column} IN (SELECT value FROM json_each(?))"

    def shrink(self) -> None:
        """As Database's."""
        with self.using() as connection:
            connection.executescript("PRAGMA incremental_vacuum")  # execute() frees one page

    def _told(self, error: sqlite3.Error) -> OSError:
        return (Damaged if _is_damage(error) else OSError)(f"{self._path.name}: {error}")


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _open(path: Path, schema: Schema) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        for statement in (*_PRAGMAS, *schema.tables, *schema.reads):
            connection.execute(statement).fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
