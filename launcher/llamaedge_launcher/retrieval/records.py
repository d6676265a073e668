"""What vector stores consist of."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

IN_PROGRESS, COMPLETED, FAILED, CANCELLED = STATUSES = (
    "in_progress",
    "completed",
    "failed",
    "cancelled",
)
DAY = 86400
_NS = 1_000_000_000

Vectors: TypeAlias = "npt.NDArray[np.float32]"
"""Rows of length 1. numpy, 16 MB, is imported where it computes."""
Attributes = Mapping[str, str | float | bool]


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """Chunks of ``most`` tokens (of cl100k_base), which share up to ``overlap`` with the next."""

    most: int = 256
    overlap: int = 64


@dataclass(frozen=True, kw_only=True)
class Store:
    """A vector store.

    ``created`` is in nanoseconds since 1970, ``active`` in seconds. It expires after ``days``
    without use. ``model`` names the embedding model of its vectors, once it has any, and ``probe``
    is that model's vector of a text that never changes, as bytes of float32.
    """

    id: str = field(default_factory=lambda: f"vs_{uuid.uuid4().hex}")
    name: str = ""
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    created: int = field(default_factory=time.time_ns)
    active: int = field(default_factory=lambda: int(time.time()))
    days: int | None = None
    model: str | None = None
    probe: bytes | None = None

    @property
    def created_at(self) -> int:
        """Seconds since 1970."""
        return self.created // _NS

    @property
    def expires_at(self) -> int | None:
        """Seconds since 1970."""
        return None if self.days is None else self.active + self.days * DAY

    @property
    def expired(self) -> bool:
        """Whether that time has come."""
        return self.expires_at is not None and time.time() >= self.expires_at


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file in a store; one that is added again is another entry, with a ``number`` of its own.

    ``usage`` counts the bytes of its chunks and vectors, ``chunks`` the chunks.
    """

    number: int = 0
    store: str
    file: str
    filename: str
    attributes: Attributes = field(default_factory=dict)
    created: int = field(default_factory=time.time_ns)
    status: str = IN_PROGRESS
    error_code: str | None = None
    error: str | None = None
    most: int
    overlap: int
    chunks: int = 0
    usage: int = 0
    batch: str | None = None
    owner: str = ""

    @property
    def created_at(self) -> int:
        """Seconds since 1970."""
        return self.created // _NS


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Files that were added together."""

    id: str = field(default_factory=lambda: f"vsfb_{uuid.uuid4().hex}")
    store: str
    created: int = field(default_factory=time.time_ns)
    cancelled: bool = False

    @property
    def created_at(self) -> int:
        """Seconds since 1970."""
        return self.created // _NS


@dataclass(frozen=True)
class Hit:
    """A chunk that was found; ``score`` is the cosine of the angle to the question, 0 to 1."""

    entry: int
    position: int
    score: float
    text: str


@dataclass(frozen=True)
class Usage:
    """The files of a store or batch by their status, and the bytes that they take."""

    counts: Mapping[str, int]
    bytes: int
