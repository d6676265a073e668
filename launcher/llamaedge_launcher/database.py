"""A SQLite database for several threads and processes."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_DAMAGED = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Damaged(OSError):
    """The database cannot be read any more."""


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


class Database:
    """The database at ``path``, with a write-ahead log.

    ``statements`` make its tables and read what must be readable; where they fail it is damaged:
    ``give_up`` gets it out of the way and it is begun anew. Every method raises OSError where
    SQLite cannot read or write, Damaged where it never will.
    """

    def __init__(
        self, path: Path, statements: Sequence[str], *, give_up: Callable[[Path], None]
    ) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            self._connection = _open(path, statements)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise OSError(f"{path}: {error}") from error
            give_up(path)
            self._connection = _open(path, statements)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread."""
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise self._told(error) from error

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """As using(); what is changed is changed at the end, all of it or nothing."""
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
        """A connection of its own, which holds nobody up."""
        try:
            connection = sqlite3.connect(self.path, isolation_level=None)
            try:
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise self._told(error) from error

    def _told(self, error: sqlite3.Error) -> OSError:
        return (Damaged if _is_damage(error) else OSError)(f"{self.path.name}: {error}")


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _open(path: Path, statements: Sequence[str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        for statement in statements:
            connection.execute(statement).fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
