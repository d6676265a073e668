"""The chunks of files and their vectors, in SQLite.

A vector is compared with all others: exact, and quick enough for some hundred thousand.
"""

import heapq
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..database import Database, discard
from .records import Hit, Vectors

_STATEMENTS = (
    "CREATE TABLE IF NOT EXISTS chunks (entry INTEGER NOT NULL, position INTEGER NOT NULL,"
    " text TEXT NOT NULL, PRIMARY KEY (entry, position))",
    "CREATE TABLE IF NOT EXISTS blocks (entry INTEGER NOT NULL, first INTEGER NOT NULL,"
    " vectors BLOB NOT NULL, PRIMARY KEY (entry, first))",
    "SELECT entry, position FROM chunks",
    "SELECT entry, first FROM blocks",
)
_AMONG = "entry IN (SELECT value FROM json_each(?))"
_PAGE = 256  # chunks


class VectorIndex:
    """The chunks of entries, by their numbers. One that is damaged is begun anew, empty.

    Every method raises OSError, Damaged where the index must be begun anew.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _STATEMENTS, give_up=discard)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def entries(self) -> dict[int, int]:
        """The numbers of chunks by the entries' numbers."""
        with self._database.using() as database:
            return dict(database.execute("SELECT entry, count(*) FROM chunks GROUP BY entry"))

    def add(self, entry: int, first: int, texts: Sequence[str], vectors: Vectors) -> None:
        """Add chunks, the first of which is the ``first``'th of its file, with their vectors."""
        rows = [(entry, first + number, text) for number, text in enumerate(texts)]
        with self._database.changing() as database:
            database.executemany("INSERT INTO chunks VALUES (?, ?, ?)", rows)
            block = (entry, first, vectors.astype("float32").tobytes())
            database.execute("INSERT INTO blocks VALUES (?, ?, ?)", block)

    def remove(self, entries: Iterable[int]) -> None:
        """Remove what there is of ``entries``."""
        numbers = json.dumps(list(entries))
        with self._database.changing() as database:
            for table in ("chunks", "blocks"):
                database.execute(f"DELETE FROM {table} WHERE {_AMONG}", (numbers,))
        with self._database.using() as database:
            database.executescript("PRAGMA incremental_vacuum")  # execute() frees one page

    def texts(self, entry: int) -> Iterator[str]:
        """The chunks of an entry in their order."""
        last = -1
        while True:
            with self._database.using() as database:
                rows = database.execute(
                    "SELECT position, text FROM chunks WHERE entry = ? AND position > ?"
                    " ORDER BY position LIMIT ?",
                    (entry, last, _PAGE),
                ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield from (text for _, text in rows)

    def search(
        self, entries: Iterable[int], questions: Vectors, *, most: int, threshold: float
    ) -> list[Hit]:
        """The chunks of ``entries`` nearest to any of ``questions``, the nearest first."""
        import numpy as np

        best: list[tuple[float, int, int]] = []
        with self._database.reading() as database:
            blocks = database.execute(
                f"SELECT entry, first, vectors FROM blocks WHERE {_AMONG}",
                (json.dumps(list(entries)),),
            )
            for entry, first, data in blocks:
                block = np.frombuffer(data, np.float32).reshape(-1, questions.shape[1])
                scores = (block @ questions.T).max(axis=1).clip(0.0, 1.0)
                found = ((float(score), -entry, -first - n) for n, score in enumerate(scores))
                best = heapq.nlargest(most, [*best, *(x for x in found if x[0] >= threshold)])
            return [
                Hit(-entry, -position, score, _text(database, -entry, -position))
                for score, entry, position in best
            ]


def _text(database: sqlite3.Connection, entry: int, position: int) -> str:
    rows = database.execute(
        "SELECT text FROM chunks WHERE entry = ? AND position = ?", (entry, position)
    )
    text: str = next(rows)[0]
    return text
