"""Small picture files of each format that can be read, and others."""

import base64
import struct
import zlib

Colour = tuple[int, int, int]


def png(
    colour: Colour,
    size: int = 32,
    *,
    height: int | None = None,
    rows: int | None = None,
    level: int = -1,
) -> bytes:
    """A PNG of one colour with a dark edge, ``size`` pixels wide and, unless told, high.

    ``rows`` are there if not as many as it says, compressed to zlib's ``level``.
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height = height or size
    edge = min(8, size)
    row = b"\0" + bytes(3 * edge) + bytes(colour) * (size - edge)
    header = struct.pack(">IIBBBBB", size, height, 8, 2, 0, 0, 0)
    data = zlib.compress(row * (height if rows is None else rows), level)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def bmp(colour: Colour, size: int = 32) -> bytes:
    """A BMP of 24 bits a pixel, of one colour with a dark edge."""
    row = bytes(3 * 8) + bytes(reversed(colour)) * (size - 8)
    pixels = (row + bytes(-len(row) % 4)) * size
    header = struct.pack("<IiiHHIIiiII", 40, size, size, 1, 24, 0, len(pixels), 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + header + pixels


def gif(colour: Colour, size: int = 32, *, frames: int = 1) -> bytes:
    """A GIF of one colour with a dark edge, ``frames`` of it.

    Its codes are all of 3 bits: it clears the table after each two pixels.
    """
    clear, end = 4, 5
    pixels = [0 if x < 8 else 1 for _ in range(size) for x in range(size)]
    codes = [code for at in range(0, len(pixels), 2) for code in (clear, *pixels[at : at + 2])]
    value = sum(code << 3 * at for at, code in enumerate([*codes, end]))
    data = value.to_bytes(3 * (len(codes) + 1) // 8 + 1, "little")
    blocks = b"".join(
        bytes((len(data[at : at + 255]),)) + data[at : at + 255] for at in range(0, len(data), 255)
    )
    frame = b"," + struct.pack("<HHHHB", 0, 0, size, size, 0) + b"\2" + blocks + b"\0"
    delay = b"!\xf9\4\0\1\0\0\0"
    header = struct.pack("<HHBBB", size, size, 0x91, 0, 0) + bytes(3) + bytes(colour) + bytes(6)
    return b"GIF89a" + header + (delay + frame) * frames + b";"


def jpeg(level: int, size: int = 32, *, progressive: bool = False) -> bytes:
    """A grey JPEG, ``level`` from 0 to 255, with a dark edge of a block of 8 by 8 pixels."""

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data

    def table(kind: int, length: int, values: bytes) -> bytes:
        counts = bytes(len(values) if bits == length else 0 for bits in range(1, 17))
        return segment(0xC4, bytes((kind,)) + counts + values)

    side = size // 8
    wanted = [-512 if x == 0 else level * 4 - 512 for _ in range(side) for x in range(side)]
    bits = ""
    for before, after in zip([0, *wanted], wanted, strict=False):
        difference = after - before
        width = abs(difference).bit_length()
        magnitude = difference if difference > 0 else difference + (1 << width) - 1
        bits += f"{width:04b}" + (f"{magnitude:0{width}b}" if width else "")
        bits += "" if progressive else "0"
    bits += "1" * (-len(bits) % 8)
    entropy = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    parts = (
        segment(0xDB, b"\0" + b"\2" * 64),
        segment(
            0xC2 if progressive else 0xC0, struct.pack(">BHHB", 8, size, size, 1) + b"\1\x11\0"
        ),
        table(0x00, 4, bytes(range(12))),
        table(0x10, 1, b"\0"),
        segment(0xDA, b"\1\1\0\0" + (b"\0" if progressive else b"\x3f") + b"\0"),
    )
    return b"\xff\xd8" + b"".join(parts) + entropy + b"\xff\xd9"


def url(picture: bytes) -> str:
    """``picture`` as a data: URL."""
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def tag(picture: bytes) -> bytes:
    """``picture`` as it stands in a prompt."""
    return f'<img src="{url(picture)}">'.encode()
