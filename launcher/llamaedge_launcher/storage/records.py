"""Where the tables of records are: SQLite in a folder, or PostgreSQL."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from .database import Database, Schema
from .owners import OWNERS, Leases, Marks, Owner
from .sqlite import SqliteDatabase, discard

_MARKS = "indexing"


class Records(Protocol):
    """What has databases. Every method raises OSError."""

    def database(self, schema: Schema) -> Database:
        """The database of these tables, which are made if they are not there."""

    def has(self, schema: Schema) -> bool:
        """Whether there may be something in these tables."""

    def discard(self, schema: Schema) -> None:
        """Remove tables that are damaged."""

    def owner(self) -> Owner:
        """This server among those that have the same records."""

    def watch(self, work: Callable[[], None]) -> None:
        """Do ``work`` from time to time, where a server may go and never come back."""

    def close(self) -> None:
        """This server is there no more. Never raises."""


class FolderRecords:
    """Records in SQLite below ``folder``, for the servers of one machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._owner: Owner | None = None

    def database(self, schema: Schema) -> Database:
        """As Records'."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SqliteDatabase(self._folder, schema)

    def has(self, schema: Schema) -> bool:
        """As Records'."""
        return self._folder.joinpath(schema.name).exists()

    def discard(self, schema: Schema) -> None:
        """As Records'."""
        discard(self._folder / schema.name)

    def owner(self) -> Owner:
        """As Records'."""
        with self._lock:
            if self._owner is None:
                self._owner = Marks(self._folder / _MARKS)
            return self._owner

    def watch(self, work: Callable[[], None]) -> None:
        """As Records': a server of this machine is started again, and looks then."""

    def close(self) -> None:
        """As Records'."""
        with suppress(OSError):
            if self._owner is not None:
                self._owner.close()


class PostgresRecords:
    """Records in the PostgreSQL database at ``url``, for servers of several machines."""

    def __init__(self, url: str) -> None:
        from .postgres import Server

        self._server = Server(url)
        self._lock = threading.Lock()
        self._leases: Leases | None = None

    def database(self, schema: Schema) -> Database:
        """As Records'."""
        from .postgres import PostgresDatabase

        return PostgresDatabase(self._server, schema)

    def has(self, schema: Schema) -> bool:
        """As Records': another server may have written to them."""
        return True

    def discard(self, schema: Schema) -> None:
        """As Records': PostgreSQL never says that tables are damaged, which a person must mend."""

    def owner(self) -> Leases:
        """As Records'."""
        with self._lock:
            if self._leases is None:
                self._leases = Leases(self.database(OWNERS))
            return self._leases

    def watch(self, work: Callable[[], None]) -> None:
        """As Records'."""
        self.owner().watch(work)

    def close(self) -> None:
        """As Records': the others need not wait until the lease runs out."""
        with suppress(OSError):
            if self._leases is not None:
                self._leases.close()
        self._server.close()
