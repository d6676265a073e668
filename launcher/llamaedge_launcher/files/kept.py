"""What keeps files, wherever their bytes lie."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from .index import StoredFile

PURPOSE = "assistants"
"""What a file is for unless a client says something else."""


class Arriving(Protocol):
    """A file that arrives; ``size`` are the bytes so far. Nobody sees it before it is kept."""

    size: int

    def write(self, data: bytes) -> None:
        """Add ``data``. Raises OSError."""

    def keep(self, purpose: str = PURPOSE) -> StoredFile:
        """Make it a file that is there. Raises OSError, and then nothing is left of it."""

    def drop(self) -> None:
        """Leave nothing of it."""


class FileStore(Protocol):
    """Files, for several threads and servers. Every method raises OSError."""

    def receive(self, name: str) -> Arriving:
        """A new file of about this name, to be written and then kept or dropped."""

    def get(self, id_: str) -> StoredFile | None:
        """The file of this id, if it is there."""

    def page(
        self,
        *,
        limit: int,
        newest_first: bool = True,
        after: StoredFile | None = None,
        purpose: str | None = None,
    ) -> list[StoredFile]:
        """At most ``limit`` files in the order of time, those that come after ``after``."""

    def contents(self, file: StoredFile) -> Path | Iterator[bytes]:
        """Where it lies on this machine, or its bytes. Raises FileNotFoundError."""

    def local(self, file: StoredFile) -> AbstractContextManager[Path]:
        """Within the block it lies on this machine. Raises FileNotFoundError."""

    def delete(self, id_: str) -> bool:
        """Whether there was such a file; there is none afterwards."""
