"""Names of files that are safe on a disk, whatever a client calls them."""

import re
import unicodedata
from pathlib import PurePosixPath

_LONGEST = 255  # bytes of UTF-8; what Linux and macOS take
_LONGEST_SUFFIX = 32
_NAMELESS = "file"


def safe_name(name: str) -> str:
    """``name`` without folders and characters that do not print, in NFC, at most 255 bytes.

    "file" where nothing is left. A name that is too long keeps its suffix.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    shown = "".join(each for each in last if each.isprintable()).strip()
    if not shown.strip("."):
        return _NAMELESS
    suffix = PurePosixPath(shown).suffix
    if len(suffix.encode()) > _LONGEST_SUFFIX:
        suffix = ""
    stem = shown.removesuffix(suffix) if suffix else shown
    room = _LONGEST - len(suffix.encode())
    return stem.encode()[:room].decode(errors="ignore") + suffix
