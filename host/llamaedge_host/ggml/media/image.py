"""Picture files: what their first bytes claim, before anything decodes them.

mtmd hands what its decoder does not know to ffmpeg, and what claims to be large to malloc.
Source: the PNG, JPEG, GIF and BMP specifications.
"""

import struct
import zlib

from ...first_bytes import described

MAX_BYTES = 1 << 26
"""Bytes of a file."""
MAX_SIDE = 1 << 15
"""Pixels along a side."""
MAX_RATIO = 200
"""How many times as long a side may be as the other, as in Qwen's own preprocessing."""
MAX_PIXELS = 1 << 26
"""Pixels: 192 MiB when decoded."""
MAX_SEGMENTS = 1 << 16
"""Segments of a JPEG, chunks of a PNG."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_GIFS, _BMP = (b"GIF87a", b"GIF89a"), b"BM"
_OTHERS = (
    ("a WebP file", rb"RIFF.{4}WEBP"),
    ("an AVIF file", rb".{4}ftypavi[fs]"),
    ("a HEIF file", rb".{4}ftyp(?:hei|hev|mif|msf)"),
    ("a JPEG XL file", rb"\xff\x0a|\0\0\0\x0cJXL "),
    ("a JPEG 2000 file", rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  "),
    ("a TIFF file", rb"II\*\0|MM\0\*"),
    ("an icon", rb"\0\0[\1\2]\0"),
    ("a PDF file", rb"%PDF"),
    ("an SVG, XML or HTML file", rb"\s*<"),
)
"""What people take for a picture, and how it begins."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_DENSEST = ((_JPEG, 8 * 64), (_GIFS, 8 * 4096 // 12), (_BMP, 8))
"""How many pixels a byte can hold: a JPEG has a bit for each 8 by 8, a GIF 12 for each run."""
_LARGEST_PIXEL = 8
_PIECE = 1 << 20


class ImageError(Exception):
    """A file is no picture that can be decoded; the message says why."""


def check(data: bytes) -> int:
    """The pixels of a picture.

    Raises ImageError for what is no PNG, JPEG, GIF or BMP, for one too large, and for one of
    which most is missing.
    """
    if len(data) > MAX_BYTES:
        raise ImageError(f"it has more than {MAX_BYTES} bytes")
    try:
        width, height = _size(data)
    except (struct.error, IndexError):
        raise ImageError("it is cut off within its header") from None
    pixels = width * height
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and pixels <= MAX_PIXELS):
        raise ImageError(
            f"it has {width} x {height} pixels; {MAX_PIXELS} can be read, {MAX_SIDE} a side"
        )
    if max(width, height) > MAX_RATIO * min(width, height):
        raise ImageError(
            f"it has {width} x {height} pixels; a side can be {MAX_RATIO} times the other"
        )
    for start, most in _DENSEST:
        if data.startswith(start) and pixels > most * len(data):
            raise ImageError(f"it is cut off: {len(data)} bytes for {width} x {height} pixels")
    if data.startswith(_PNG):
        _check_png(data, 2 * height * (width * _LARGEST_PIXEL + 1))
    return pixels


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
    raise ImageError(f"{described(data, _OTHERS)}; PNG, JPEG, GIF and BMP can be read")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = len(_JPEG)
    for _ in range(MAX_SEGMENTS):
        at = data.find(b"\xff", at, at + _PIECE)
        if at < 0:
            raise IndexError
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
        if marker and marker not in _ALONE:
            at += struct.unpack_from(">H", data, at)[0]
    raise ImageError(f"it has more than {MAX_SEGMENTS} segments")


def _check_png(data: bytes, most: int) -> None:
    """Refuse a PNG whose compressed pixels are more than ``most`` bytes."""
    inflater, size, at, chunks = zlib.decompressobj(), 0, len(_PNG), 0
    while at + 8 <= len(data) and not inflater.eof:
        chunks += 1
        if chunks > MAX_SEGMENTS:
            raise ImageError(f"it has more than {MAX_SEGMENTS} chunks")
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
