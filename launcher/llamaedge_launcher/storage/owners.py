"""Which servers are there: what one has begun is another's to end once it is gone."""

import logging
import os
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..locks import hold, locked
from .database import Database, Schema

_log = logging.getLogger(__name__)

LEASE, BEAT = 60.0, 15.0
"""Seconds after which a server that says nothing is gone, and between two of its words."""
OWNERS = Schema(
    "owners.sqlite3",
    ("CREATE TABLE IF NOT EXISTS owners (name TEXT PRIMARY KEY, seen BIGINT NOT NULL)",),
)
_NOW = "CAST(1000 * EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)"


class Owner(Protocol):
    """This server among those that share its records. Every method raises OSError."""

    name: str

    def alive(self) -> set[str]:
        """The names of those that are there, this one's too."""

    def close(self) -> None:
        """This one is there no more."""


class Marks:
    """An Owner among the servers of one machine: each holds the lock of a file in ``folder``.

    The lock ends with its holder, however that ends.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self.name = uuid.uuid4().hex
        with locked(folder):
            folder.joinpath(self.name).touch(mode=0o600)
            self._held = hold(folder / self.name)

    def alive(self) -> set[str]:
        """As Owner's. Files that nobody holds are removed."""
        there = set()
        with locked(self._folder):
            for each in self._folder.iterdir():
                held = hold(each)
                if held is None:
                    there.add(each.name)
                else:
                    each.unlink(missing_ok=True)
                    os.close(held)
        return there

    def close(self) -> None:
        """As Owner's."""
        self._folder.joinpath(self.name).unlink(missing_ok=True)
        if self._held is not None:
            os.close(self._held)
            self._held = None


class Leases:
    """An Owner among servers of several machines: each says in ``database`` that it is there.

    It does so from a thread, every BEAT, and is gone when it has not for LEASE of the database's
    clock. After each beat it does what ``watch`` was given.
    """

    def __init__(self, database: Database) -> None:
        self.name = uuid.uuid4().hex
        self._database = database
        self._lease = round(1000 * LEASE)
        self._works: list[Callable[[], None]] = []
        self._ended = threading.Event()
        self._renew()
        threading.Thread(target=self._run, name="leases", daemon=True).start()

    def alive(self) -> set[str]:
        """As Owner's."""
        query = f"SELECT name FROM owners WHERE seen > {_NOW} - ?"
        with self._database.using() as database:
            return {name for (name,) in database.execute(query, (self._lease,))}

    def watch(self, work: Callable[[], None]) -> None:
        """Do ``work`` after each beat, from its thread."""
        self._works.append(work)

    def close(self) -> None:
        """As Owner's."""
        self._ended.set()
        with self._database.using() as database:
            database.execute("DELETE FROM owners WHERE name = ?", (self.name,))

    def _renew(self) -> None:
        with self._database.using() as database:
            database.execute(
                f"INSERT INTO owners (name, seen) VALUES (?, {_NOW})"
                " ON CONFLICT (name) DO UPDATE SET seen = excluded.seen",
                (self.name,),
            )
            database.execute(f"DELETE FROM owners WHERE seen <= {_NOW} - ?", (self._lease,))

    def _run(self) -> None:
        while not self._ended.wait(BEAT):
            for work in (self._renew, *self._works):
                try:
                    work()
                except OSError as error:
                    _log.warning("what other servers left is not looked after: %s", error)
