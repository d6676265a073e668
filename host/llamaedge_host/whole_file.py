"""Files that are written whole or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = ".writing-"
"""How the name of a file begins that is still being written."""


def write_whole(path: Path, data: bytes | bytearray, *, mode: int = 0o600) -> None:
    """Make ``data`` the content of ``path`` at once, in a new file with the permissions ``mode``.

    Who has the old file open or mapped keeps it. Raises OSError, as on a full disk; nothing is
    left behind then.
    """
    file, name = tempfile.mkstemp(prefix=PREFIX, dir=path.parent)
    try:
        with os.fdopen(file, "wb") as opened:
            opened.write(data)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
