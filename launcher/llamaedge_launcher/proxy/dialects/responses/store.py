"""Responses that are kept, so that later ones can go on from them."""

import json
import threading
from dataclasses import dataclass

from ....storage.database import Connection, Database, Schema
from ....storage.records import Records
from ..bridge import Json

MOST = 10_000
"""Responses that are kept; the oldest go."""
LONGEST = 1_000
"""Responses that may follow one another."""
RESPONSES = Schema(
    "responses.sqlite",
    tables=(
        "CREATE TABLE IF NOT EXISTS responses (id TEXT PRIMARY KEY, number BIGINT NOT NULL,"
        " previous TEXT, seen BOOLEAN NOT NULL, response TEXT NOT NULL, input TEXT NOT NULL)",
        "CREATE INDEX IF NOT EXISTS by_number ON responses (number)",
        "CREATE INDEX IF NOT EXISTS by_previous ON responses (previous)",
        "CREATE TABLE IF NOT EXISTS items (id TEXT PRIMARY KEY, response TEXT NOT NULL,"
        " item TEXT NOT NULL)",
        "CREATE INDEX IF NOT EXISTS by_response ON items (response)",
    ),
    reads=(
        "SELECT id, number, previous, seen, response, input FROM responses LIMIT 1",
        "SELECT id, response, item FROM items LIMIT 1",
    ),
    disposable=True,
)


@dataclass(frozen=True)
class Kept:
    """A response and the items of its own input."""

    response: Json
    items: list[Json]


class Store:
    """Responses in ``records``, for several threads and processes.

    A response that was deleted stays, unseen, for as long as others go on from it. Every method
    raises OSError where the records cannot be read or written.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._opening = threading.Lock()
        self._opened: Database | None = None

    @property
    def _database(self) -> Database:
        """The database, which is made when it is first needed."""
        with self._opening:
            if self._opened is None:
                self._opened = self._records.database(RESPONSES)
            return self._opened

    def put(self, kept: Kept) -> None:
        """Keep a response."""
        response = kept.response
        id_, previous = response["id"], response["previous_response_id"]
        with self._database.changing() as database:
            (last,) = database.execute("SELECT COALESCE(MAX(number), 0) FROM responses").fetchone()
            row = (id_, last + 1, previous, json.dumps(response), json.dumps(kept.items))
            database.execute("INSERT INTO responses VALUES (?, ?, ?, TRUE, ?, ?)", row)
            rows = [(each["id"], id_, json.dumps(each)) for each in response["output"]]
            database.executemany("INSERT INTO items VALUES (?, ?, ?)", rows)
            old = database.execute("SELECT id FROM responses WHERE number <= ?", (last + 1 - MOST,))
            for (each,) in old.fetchall():
                _forget(database, each)

    def get(self, id_: str) -> Kept | None:
        """The response, if it is there and was not deleted."""
        with self._database.using() as database:
            row = database.execute(
                "SELECT response, input FROM responses WHERE id = ? AND seen", (id_,)
            ).fetchone()
        return None if row is None else Kept(json.loads(row[0]), json.loads(row[1]))

    def delete(self, id_: str) -> bool:
        """Forget the response; whether there was one."""
        with self._database.changing() as database:
            hidden = database.execute(
                "UPDATE responses SET seen = FALSE WHERE id = ? AND seen", (id_,)
            )
            _prune(database, id_)
            return bool(hidden.rowcount)

    def item(self, id_: str) -> Json | None:
        """The output item of this id, of any response that is there."""
        with self._database.using() as database:
            row = database.execute("SELECT item FROM items WHERE id = ?", (id_,)).fetchone()
        return None if row is None else json.loads(row[0])

    def conversation(self, id_: str) -> list[Json] | None:
        """The items up to the end of the response ``id_``, None if it or one before is gone."""
        found: list[list[Json]] = []
        asked: str | None = id_
        condition = "id = ? AND seen"
        with self._database.using() as database:
            while asked is not None:
                row = database.execute(
                    f"SELECT previous, response, input FROM responses WHERE {condition}", (asked,)
                ).fetchone()
                if row is None or len(found) == LONGEST:
                    return None
                condition = "id = ?"
                found.append([*json.loads(row[2]), *json.loads(row[1])["output"]])
                asked = row[0]
        return [item for part in reversed(found) for item in part]


def _prune(database: Connection, id_: str | None) -> None:
    """Forget what was deleted and has none that goes on from it, from ``id_`` backwards."""
    while id_ is not None:
        row = database.execute(
            "SELECT previous FROM responses WHERE id = ? AND NOT seen AND NOT EXISTS"
            " (SELECT 1 FROM responses AS later WHERE later.previous = responses.id)",
            (id_,),
        ).fetchone()
        if row is None:
            return
        _forget(database, id_)
        (id_,) = row


def _forget(database: Connection, id_: str) -> None:
    database.execute("DELETE FROM responses WHERE id = ?", (id_,))
    database.execute("DELETE FROM items WHERE response = ?", (id_,))
