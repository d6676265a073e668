"""What a file is that is not what was asked for, told from its first bytes, in words."""

import re
from collections.abc import Sequence

ENOUGH = 16
"""Bytes to look at."""

_KNOWN: Sequence[tuple[bytes, str]] = (
    (b"", "it is empty"),
    (b"\0asm", "it is a WebAssembly module"),
    (b"GGUF", "it is a GGUF model"),
    (b"\x7fELF", "it is machine code (ELF)"),
    (b"\xcf\xfa\xed\xfe", "it is machine code (Mach-O)"),
    (b"MZ", "it is machine code (Windows)"),
    (b"PK\x03\x04", "it is a ZIP archive"),
    (b"\x1f\x8b", "it is compressed (gzip)"),
    (b"(\xb5/\xfd", "it is compressed (zstd)"),
    (b"version https://", "it is a Git LFS pointer instead of the file"),
    (b"(module", "it is WebAssembly in the text format"),
    (b"<", "it is a web page or XML"),
)
_TEXT = 12  # characters that are shown


def described(data: bytes, others: Sequence[tuple[str, bytes]] = ()) -> str:
    """A clause about the file that begins with ``data``: what it is, or how it begins.

    ``others`` are further kinds, each with a regular expression of its first bytes.
    """
    for kind, pattern in others:
        if re.match(pattern, data, re.DOTALL):
            return f"it is {kind}"
    start = data.lstrip()[:ENOUGH] if data[:ENOUGH].isascii() else data[:ENOUGH]
    for magic, what in _KNOWN:
        if start.startswith(magic) if magic else not data:
            return what
    text = start[:_TEXT].decode("ascii", errors="replace")
    if text and text.isprintable() and text.isascii():
        return f'it begins with "{text}"'
    return f"it begins with the bytes {data[:8].hex(' ')}"
