"""Who is told how downloads go."""

from collections.abc import Sequence

from .variants import File


class Watcher:
    """Told how downloads go; this one keeps it to itself. What it raises ends them."""

    def begins(self, files: Sequence[File]) -> None:
        """These are needed, in this order."""

    def at(self, file: File, done: int) -> None:
        """``done`` bytes of ``file`` are here."""

    def waits(self, file: File, reason: str) -> None:
        """Something delays ``file``; it goes on by itself."""

    def has(self, file: File) -> None:
        """``file`` is here, whole and checked."""
