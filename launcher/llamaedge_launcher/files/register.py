"""The files of a bucket as all servers see them: the row says whether a file is there."""

from ..storage.database import Schema
from .index import COLUMNS, Listing, StoredFile

REGISTER = Schema(
    "stored_files.sqlite3",
    tables=(
        "CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, filename TEXT NOT NULL,"
        " bytes BIGINT NOT NULL, created BIGINT NOT NULL, purpose TEXT NOT NULL,"
        " owner TEXT NOT NULL)",
        "CREATE INDEX IF NOT EXISTS files_by_time ON files (created, id)",
        "CREATE INDEX IF NOT EXISTS files_by_owner ON files (owner)",
    ),
    reads=(f"SELECT {COLUMNS}, owner FROM files LIMIT 1",),
)
_THERE = "owner = ''"


class Register(Listing):
    """A Listing of what is there; what arrives or goes has an ``owner`` and is out of sight.

    Every method raises OSError.
    """

    _RULE = _THERE

    def begin(self, id_: str, owner: str) -> None:
        """A file arrives."""
        with self._database.using() as database:
            database.execute(
                f"INSERT INTO files ({COLUMNS}, owner) VALUES (?, '', 0, 0, '', ?)", (id_, owner)
            )

    def end(self, file: StoredFile, owner: str) -> bool:
        """It is there from now on; False if it was given up meanwhile."""
        with self._database.using() as database:
            changed = database.execute(
                "UPDATE files SET filename = ?, bytes = ?, created = ?, purpose = ?, owner = ''"
                " WHERE id = ? AND owner = ?",
                (file.filename, file.bytes, file.created, file.purpose, file.id, owner),
            )
            return bool(changed.rowcount)

    def hide(self, id_: str, owner: str) -> bool:
        """Whether it was there; it is not from now on."""
        with self._database.using() as database:
            changed = database.execute(
                f"UPDATE files SET owner = ? WHERE id = ? AND {_THERE}", (owner, id_)
            )
            return bool(changed.rowcount)

    def take(self, id_: str, owner: str, former: str) -> bool:
        """Whether ``owner`` has it from now on in the place of ``former``."""
        with self._database.using() as database:
            changed = database.execute(
                "UPDATE files SET owner = ? WHERE id = ? AND owner = ?", (owner, id_, former)
            )
            return bool(changed.rowcount)

    def forget(self, id_: str, owner: str) -> None:
        """Of what was out of sight nothing is left."""
        with self._database.using() as database:
            database.execute("DELETE FROM files WHERE id = ? AND owner = ?", (id_, owner))

    def unseen(self) -> list[tuple[str, str]]:
        """What is out of sight: the ids and the owners."""
        with self._database.using() as database:
            rows = database.execute(f"SELECT id, owner FROM files WHERE NOT {_THERE}").fetchall()
        return [(id_, owner) for id_, owner in rows]
