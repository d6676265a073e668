"""The chunks of files and their vectors.

A vector is compared with all others: exact, and quick enough for some hundred thousand.
"""

import heapq
import json
from collections.abc import Iterable, Iterator, Sequence

from ..storage.database import Connection, Database, Schema
from .records import Hit, Vectors

VECTORS = Schema(
    "vectors.sqlite3",
    tables=(
        "CREATE TABLE IF NOT EXISTS chunks (entry BIGINT NOT NULL, position BIGINT NOT NULL,"
        " text TEXT NOT NULL, PRIMARY KEY (entry, position))",
        "CREATE TABLE IF NOT EXISTS blocks (entry BIGINT NOT NULL, first BIGINT NOT NULL,"
        " vectors BLOB NOT NULL, PRIMARY KEY (entry, first))",
    ),
    reads=("SELECT entry, position FROM chunks", "SELECT entry, first FROM blocks"),
    disposable=True,
)
_PAGE = 256  # chunks


class VectorIndex:
    """The chunks of entries, by their numbers, in a ``database`` of VECTORS.

    Every method raises OSError, Damaged where the index must be begun anew.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

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
                rule = self._database.among("entry")
                database.execute(f"DELETE FROM {table} WHERE {rule}", (numbers,))
        self._database.shrink()

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
                f"SELECT entry, first, vectors FROM blocks WHERE {self._database.among('entry')}",
                (json.dumps(list(entries)),),
            )
            for entry, first, data in blocks:
                block = np.frombuffer(data, np.float32).reshape(-1, questions.shape[1])
                scores = (block @ questions.T).max(axis=1).clip(0.0, 1.0)
                found = ((float(score), -entry, -first - n) for n, score in enumerate(scores))
                best = heapq.nlargest(most, [*best, *(x for x in found if x[0] >= threshold)])
            return [
                Hit(-entry, -position, score, text)
                for score, entry, position in best
                if (text := _text(database, -entry, -position)) is not None
            ]


def _text(database: Connection, entry: int, position: int) -> str | None:
    """The chunk, unless it was deleted meanwhile."""
    rows = database.execute(
        "SELECT text FROM chunks WHERE entry = ? AND position = ?", (entry, position)
    )
    row = rows.fetchone()
    return None if row is None else str(row[0])
