"""Picture files: what their first bytes claim, before anything decodes them.

mtmd hands what its decoder does not know to ffmpeg, and what claims to be large to malloc.
Source: the PNG, JPEG, GIF and BMP specifications.
"""

import struct
import zlib

MAX_BYTES = 1 << 26
"""Bytes of a file."""
MAX_SIDE = 1 << 15
"""Pixels along a side."""
MAX_PIXELS = 1 << 26
"""Pixels: 192 MiB when decoded."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_GIFS, _BMP = (b"GIF87a", b"GIF89a"), b"BM"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_LARGEST_PIXEL = 8
_PIECE = 1 << 20


class ImageError(Exception):
    """A file is no picture that can be decoded; the message says why."""


def check(data: bytes) -> None:
    """Raises ImageError for what is no PNG, JPEG, GIF or BMP, or one too large."""
    if len(data) > MAX_BYTES:
        raise ImageError(f"it has more than {MAX_BYTES} bytes")
    try:
        width, height = _size(data)
    except (struct.error, IndexError):
        raise ImageError("it is cut off within its header") from None
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise ImageError(
            f"it has {width} x {height} pixels; {MAX_PIXELS} can be read, {MAX_SIDE} a side"
        )
    if data.startswith(_PNG):
        _check_png(data, 2 * height * (width * _LARGEST_PIXEL + 1))


def _size(data: bytes) -> tuple[int, int]:
    if data.startswith(_PNG) and data[12:16] == b"IHDR":
        return struct.unpack_from(">II", data, 16)
    if data.startswith(_JPEG):
        return _jpeg_size(data)
    if data.startswith(_GIFS):
        return struct.unpack_from("<HH", data, 6)
    if data.startswith(_BMP):
        header = struct.unpack_from("<I", data, 14)[0]
        width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
        return width, abs(height)
    raise ImageError("it is no PNG, JPEG, GIF or BMP")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = len(_JPEG)
    while True:
        at = data.index(b"\xff", at) if b"\xff" in data[at : at + _PIECE] else len(data)
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
        if marker and marker not in _ALONE:
            at += struct.unpack_from(">H", data, at)[0]


def _check_png(data: bytes, most: int) -> None:
    """Refuse a PNG whose compressed pixels are more than ``most`` bytes."""
    inflater, size, at = zlib.decompressobj(), 0, len(_PNG)
    while at + 8 <= len(data) and not inflater.eof:
        length, kind = struct.unpack_from(">I4s", data, at)
        piece = data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
        while piece:
            try:
                size += len(inflater.decompress(piece, _PIECE))
            except zlib.error:
                raise ImageError("its pixels are damaged") from None
            if size > most:
                raise ImageError("it holds more pixels than it says")
            piece = inflater.unconsumed_tail
