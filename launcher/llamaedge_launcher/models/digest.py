"""The SHA-256 of a model's file, which clients of Ollama's know it by."""

import hashlib
import re
import threading
from functools import lru_cache
from pathlib import Path

_KEPT = 256  # files
_BLOB = re.compile(r"[0-9a-f]{64}")
_reading = threading.Lock()
"""One file at a time is read, and none twice."""


def digest(path: Path, version: str) -> str:
    """Of the file at ``path``, in hexadecimal; "" for one that cannot be read. Blocks.

    ``version`` changes with the file. A hub's cache names its files so, once they have been
    checked; others are read whole, when they are first asked for.
    """
    real = path.resolve()
    if real.parent.name == "blobs" and _BLOB.fullmatch(real.name):
        return real.name
    with _reading:
        return _read(path, version)


@lru_cache(_KEPT)
def _read(path: Path, version: str) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
