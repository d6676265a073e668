"""Bodies that a client has compressed."""

import zlib
from collections.abc import Callable

_PIECE = 1 << 20  # bytes that are made at a time
_WITH_HEADER = 31  # zlib's wbits for gzip


def gunzipped(body: bytes, take: Callable[[int], None]) -> bytes:
    """What gzip has made ``body`` of; ``take`` is told how many bytes more before they are kept.

    Raises ValueError for what gzip has not made, and what ``take`` raises.
    """
    parts: list[bytes] = []
    while body:
        reader = zlib.decompressobj(wbits=_WITH_HEADER)
        while not reader.eof:
            try:
                part = reader.decompress(body, _PIECE)
            except zlib.error as error:
                raise ValueError(f"its gzip data cannot be read: {error}") from error
            body = reader.unconsumed_tail
            if not (part or body or reader.eof):
                raise ValueError("its gzip data ends early")
            take(len(part))
            parts.append(part)
        body = reader.unused_data
    return b"".join(parts)
