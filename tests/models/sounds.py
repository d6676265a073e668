"""Small sound files of each format that can be read, and others."""

import base64
import math
import struct

Form = tuple[int, int, int, int]
"""Tag, channels, samples a second and bits of one."""
PLAIN: Form = (1, 1, 16000, 16)


def tone(hertz: float, seconds: float = 0.5, form: Form = PLAIN) -> bytes:
    """A WAV file of one tone."""
    tag, channels, rate, bits = form
    frames = b"".join(
        _sample(math.sin(2 * math.pi * hertz * at / rate) / 2, tag, bits) * channels
        for at in range(int(rate * seconds))
    )
    return wav(frames, form)


def _sample(value: float, tag: int, bits: int) -> bytes:
    if tag == 3:
        return struct.pack("<f" if bits == 32 else "<d", value)
    if tag != 1 or bits == 8:
        return bytes((int(128 + 127 * value),))
    return int(value * (2 ** (bits - 1) - 1)).to_bytes(bits // 8, "little", signed=True)


def wav(frames: bytes, form: Form = PLAIN, *, extra: bytes = b"", size: int | None = None) -> bytes:
    """``frames`` as a WAV file, with ``extra`` chunks before them, of which it says ``size``."""
    tag, channels, rate, bits = form
    frame = channels * bits // 8
    head = struct.pack("<HHIIHH", tag, channels, rate, rate * frame & 0xFFFFFFFF, frame, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + extra
    body += b"data" + struct.pack("<I", len(frames) if size is None else size) + frames
    return b"RIFF" + struct.pack("<I", len(body) & 0xFFFFFFFF) + body


def mp3(frames: int = 40, *, tag: int = 0) -> bytes:
    """Frames of MPEG 1, layer III, 128 kbit/s at 44.1 kHz, that hold silence."""
    head = b"ID3\4\0\0" + bytes((0, 0, tag >> 7, tag & 127)) + bytes(tag) if tag else b""
    return head + (b"\xff\xfb\x90\xc4" + bytes(413)) * frames


def text(file: bytes) -> str:
    """As requests have it."""
    return base64.b64encode(file).decode()


def tag(file: bytes) -> bytes:
    """As prompts have it."""
    return f'<audio src="data:audio/wav;base64,{text(file)}">'.encode()
