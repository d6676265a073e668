"""PostgreSQL as the database of records, for servers on several machines.

The tables lie in a schema of their own, so that the database may have other programs' too.
"""

import errno
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool

from .database import Cursor, Schema, Unreachable

_SCHEMA = "llamaedge"
_CONNECTIONS = 8  # of one server
_PATIENCE = 10.0  # seconds in which a connection must be had
_TRIES = 5.0  # seconds of tries to connect; the next statement begins them again
_DEFAULTS = {
    "application_name": "llamaedge",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""What a connection is made with, unless the URL says otherwise: a machine that is gone is noticed
within a minute, on both sides."""
_SETTINGS = (
    f"SET search_path TO {_SCHEMA}",
    "SET lock_timeout TO '30s'",
    "SET statement_timeout TO '60s'",
    "SET idle_in_transaction_session_timeout TO '60s'",
)
_TYPES = {
    "INTEGER PRIMARY KEY AUTOINCREMENT": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "BLOB": "BYTEA",
}
"""What PostgreSQL calls what SQLite has by another name."""
_NUL, _NUL_SHOWN = "\0", "\u2400"
_ROWS = 64  # that are fetched at a time


class Server:
    """Connections to the database at ``url``.

    Every method raises OSError, Unreachable where the database does not answer. The errors tell
    the server's reasons, in which there is no password.
    """

    def __init__(self, url: str) -> None:
        self._pool = ConnectionPool(
            make_conninfo("", **{**_DEFAULTS, **_parts(url)}),
            min_size=1,
            max_size=_CONNECTIONS,
            timeout=_PATIENCE,
            reconnect_timeout=_TRIES,
            configure=_configure,
            check=ConnectionPool.check_connection,
            name="records",
            open=False,
        )
        self._pool.open()

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection]:
        """A connection with a transaction, which ends with the block."""
        try:
            with self._pool.connection() as connection:
                yield connection
        except psycopg.Error as error:
            raise _told(error) from error

    def create(self, schema: Schema) -> None:
        """Make the tables that there are not yet."""
        with self.connected() as connection:
            _create_schema(connection)
            for statement in schema.tables:
                connection.execute(_translated(statement))


class PostgresDatabase:
    """A Database on a server."""

    def __init__(self, server: Server, schema: Schema) -> None:
        self._server = server
        self._key = _key(schema.name)
        server.create(schema)

    def close(self) -> None:
        """As Database's: the server's connections stay."""

    @contextmanager
    def using(self) -> Iterator["_Plain"]:
        """As Database's."""
        with self._server.connected() as connection:
            yield _Plain(connection)

    @contextmanager
    def changing(self) -> Iterator["_Plain"]:
        """As Database's: an advisory lock lets in one at a time, as SQLite does."""
        with self.using() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(?)", (self._key,))
            yield connection

    @contextmanager
    def reading(self) -> Iterator["_Fetching"]:
        """As Database's."""
        with self._server.connected() as connection:
            yield _Fetching(connection)

    def among(self, column: str) -> str:
        """As Database's."""
        return f"{column} IN (SELECT value::bigint FROM json_array_elements_text(?::json))"

    def shrink(self) -> None:
        """As Database's: PostgreSQL does so by itself."""


class _Plain:
    """A Connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Cursor:
        return self._connection.execute(_translated(statement), _written(values))

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Cursor:
        cursor = self._connection.cursor()
        cursor.executemany(_translated(statement), map(_written, rows))
        return cursor


class _Fetching(_Plain):
    """A Connection for SELECT, which leaves rows at the server until they are asked for."""

    def __init__(self, connection: psycopg.Connection) -> None:
        super().__init__(connection)
        self._numbers = count()

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Cursor:
        cursor = self._connection.cursor(f"c{next(self._numbers)}")
        cursor.itersize = _ROWS
        return cursor.execute(_translated(statement), _written(values))


def check(url: str) -> None:
    """Raise ValueError unless ``url`` is one of PostgreSQL's; it tells nothing of ``url``."""
    try:
        _parts(url)
    except psycopg.ProgrammingError:
        message = "it is not of the form postgresql://USER:PASSWORD@HOST:PORT/NAME"
        raise ValueError(message) from None


def try_out(url: str) -> None:
    """Connect once, and make the schema. Raises OSError with the reason why that cannot be."""
    try:
        with psycopg.connect(make_conninfo("", **{**_DEFAULTS, **_parts(url)})) as connection:
            _create_schema(connection)
    except psycopg.Error as error:
        raise _told(error) from error


def _parts(url: str) -> Mapping[str, Any]:
    return {name: value for name, value in conninfo_to_dict(url).items() if value is not None}


def _configure(connection: psycopg.Connection) -> None:
    for statement in _SETTINGS:
        connection.execute(statement)
    connection.commit()


def _told(error: psycopg.Error) -> OSError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if isinstance(error, psycopg.errors.DiskFull):
        return OSError(errno.ENOSPC, f"the database has {os.strerror(errno.ENOSPC).lower()}")
    if isinstance(error, psycopg.OperationalError):
        return Unreachable(f"the database does not answer: {lines[0]}")
    return OSError(f"the database refuses: {lines[0]}")


def _create_schema(connection: psycopg.Connection) -> None:
    """Make it if it is not there; no other server does so meanwhile."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_key(_SCHEMA),))
    there = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", (_SCHEMA,)).fetchone()
    if there == (False,):
        connection.execute(f"CREATE SCHEMA {_SCHEMA}")


@lru_cache(maxsize=256)
def _translated(statement: str) -> Any:
    """``statement`` as psycopg takes it."""
    text = statement.replace("%", "%%").replace("?", "%s")
    if text.startswith("CREATE TABLE"):
        for theirs, ours in _TYPES.items():
            text = text.replace(theirs, ours)
    return text


def _written(values: Sequence[Any]) -> list[Any]:
    """The values; a text of PostgreSQL's cannot hold NUL, so its picture stands for it."""
    return [each.replace(_NUL, _NUL_SHOWN) if isinstance(each, str) else each for each in values]


def _key(name: str) -> int:
    """Of an advisory lock, which are numbers."""
    return zlib.crc32(f"{_SCHEMA} {name}".encode())
