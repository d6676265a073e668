"""What is kept of KV caches that made place for others."""

from dataclasses import dataclass
from pathlib import Path

DISK = 4 << 30
"""Bytes of files, unless another bound is given."""


@dataclass(frozen=True)
class Keeping:
    """``ram`` is how many MiB of memory they may take, None for what suits the machine.

    Those of conversations that rest are files in ``folder``, None for none, of ``disk`` bytes
    together; there they are found again by the next process.
    """

    ram: int | None = None
    folder: Path | None = None
    disk: int = DISK
