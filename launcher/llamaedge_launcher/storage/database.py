"""What records are kept by, whichever database it is."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol


class Damaged(OSError):
    """The database cannot be read any more."""


class Unreachable(OSError):
    """What keeps records or files does not answer; it may later."""


class Cursor(Protocol):
    """What a statement found."""

    @property
    def rowcount(self) -> int:
        """The rows that were changed."""

    def fetchone(self) -> Any:
        """The next row, None after the last."""

    def fetchall(self) -> list[Any]:
        """The rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """What statements are given to; ``?`` stands for a value in them."""

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Cursor:
        """Do one statement."""

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Cursor:
        """Do it with the values of each row."""


@dataclass(frozen=True)
class Schema:
    """Tables that belong together, in SQL that SQLite and PostgreSQL understand.

    In SQLite they are a database of their own, the file ``name``. ``reads`` read what must be
    readable there; where they fail it is begun anew, and the damaged one is put aside for a person
    to look at, unless it is ``disposable``.
    """

    name: str
    tables: tuple[str, ...]
    reads: tuple[str, ...] = ()
    disposable: bool = False


class Database(Protocol):
    """The tables of a schema, for several threads and processes.

    Every method raises OSError where they cannot be read or written.
    """

    def close(self) -> None:
        """Close it."""

    def using(self) -> AbstractContextManager[Connection]:
        """A connection, for one thread."""

    def changing(self) -> AbstractContextManager[Connection]:
        """As using(), for one at a time among all processes.

        What is changed is changed at the end, all of it or nothing.
        """

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection that holds nobody up, and has few rows in memory at a time."""

    def among(self, column: str) -> str:
        """The condition that a number is one of those in a value, which is an array in JSON."""

    def shrink(self) -> None:
        """Give back the room of what was deleted."""
