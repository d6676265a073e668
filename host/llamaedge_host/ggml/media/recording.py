"""Sound files: how long they claim to be, and the bytes of them that may be decoded.

mtmd's decoder makes as much memory as a file says that it needs, so nothing is left to it that
was not counted here: a WAV file gets a header of ours, and of an MP3 only the frames go on.
Source: the WAVE format of RIFF, ISO 11172-3 and 13818-3, ID3v2, RFC 9639.
"""

import struct

from ...first_bytes import described

MAX_BYTES = 1 << 26
"""Bytes of a file."""
MAX_SECONDS = 1800
"""Seconds of a recording: 110 MiB when decoded."""
RATES = range(1000, 768_001)
"""Samples a second."""
MAX_CHANNELS = 32

_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_WIDTHS = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64), _ALAW: (8,), _MULAW: (8,)}
"""Bits of a sample, by the format's tag."""
_OTHERS = (
    ("an Ogg file", rb"OggS"),
    ("an MP4 or M4A file", rb".{4}ftyp"),
    ("a WebM or Matroska file", rb"\x1aE\xdf\xa3"),
    ("an AIFF file", rb"FORM.{4}AIF"),
    ("a file of AAC", rb"\xff[\xf0\xf1\xf8\xf9]"),
    ("a WMA file", rb"0&\xb2u"),
)
"""What people take for a recording, and how it begins."""
_KBPS = {
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Of layer III, by MPEG's version."""
_MP3_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""By the two bits of the version."""
_ID3, _ID3_HEAD = b"ID3", 10
_LAYER_III = 1
_SAME = 0xFFFE0C00
"""The bits of a frame's header that all frames share: sync, version, layer, rate."""


class RecordingError(Exception):
    """A file is no recording that can be decoded; the message says why."""


def readable(data: bytes) -> tuple[bytes, float]:
    """What of a WAV, MP3 or FLAC file is to be decoded, and its seconds.

    Raises RecordingError for anything else, for one that is too long, and for one without sound.
    """
    if len(data) > MAX_BYTES:
        raise RecordingError(f"it has more than {MAX_BYTES} bytes")
    try:
        if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
            found, seconds = _wave(data)
        elif data[:4] == b"fLaC":
            found, seconds = _flac(data)
        elif _mp3_begins(data):
            found, seconds = _mp3(data)
        else:
            raise RecordingError(f"{described(data, _OTHERS)}; WAV, MP3 and FLAC can be read")
    except (struct.error, IndexError):
        raise RecordingError("it is cut off within its header") from None
    if seconds > MAX_SECONDS:
        raise RecordingError(f"it is {seconds:.0f} seconds long; {MAX_SECONDS} can be read")
    if not seconds:
        raise RecordingError("there is no sound in it")
    return found, seconds


def _wave(data: bytes) -> tuple[bytes, float]:
    """The file with a plain header, and its seconds."""
    at, form = 12, None
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"fmt " and form is None:
            form = _form(data[at : at + size])
        elif name == b"data":
            if form is None:
                raise RecordingError("its sound comes before its format")
            return _plain(form, data[at : at + size])
        at += size + size % 2
    raise RecordingError("it has no sound, or is cut off before it")


def _form(chunk: bytes) -> tuple[int, int, int, int]:
    """Tag, channels, samples a second and bits of one."""
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE:
        tag = struct.unpack_from("<H", chunk, 24)[0]
    if bits not in _WIDTHS.get(tag, ()):
        raise RecordingError(
            f"its samples are of format {tag} with {bits} bits; whole numbers of 8 to 32 bits,"
            " floating point, A-law and mu-law can be read"
        )
    _check(rate, channels)
    return tag, channels, rate, bits


def _plain(form: tuple[int, int, int, int], sound: bytes) -> tuple[bytes, float]:
    tag, channels, rate, bits = form
    frame = channels * bits // 8
    frames = len(sound) // frame
    sound = sound[: frames * frame]
    chunk = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(chunk)) + chunk
    body += b"data" + struct.pack("<I", len(sound)) + sound
    return b"RIFF" + struct.pack("<I", len(body)) + body, frames / rate


def _flac(data: bytes) -> tuple[bytes, float]:
    """All of it: what it says of its length is what its decoder believes."""
    kind, bits = data[4] & 0x7F, int.from_bytes(data[18:26])
    if kind or len(data) < 26:
        raise RecordingError("it is damaged: it does not begin with what it is")
    rate, channels, samples = bits >> 44, (bits >> 41 & 7) + 1, bits & (1 << 36) - 1
    _check(rate, channels)
    if not samples:
        raise RecordingError("it does not say how long it is")
    return data, samples / rate


def _check(rate: int, channels: int) -> None:
    if rate not in RATES or not 0 < channels <= MAX_CHANNELS:
        raise RecordingError(f"it has {rate} samples a second and {channels} channels")


def _mp3_begins(data: bytes) -> bool:
    return data[:3] == _ID3 or _frame(data[:4]) is not None


def _mp3(data: bytes) -> tuple[bytes, float]:
    """The frames that follow one another from the first on, and their seconds."""
    start = _after_tag(data)
    at, seconds, first = start, 0.0, None
    while at + 4 <= len(data):
        head = int.from_bytes(data[at : at + 4])
        found = _frame(data[at : at + 4])
        if found is None or (first is not None and (head ^ first) & _SAME):
            break
        length, lasts = found
        if at + length > len(data):
            break
        first = head
        at += length
        seconds += lasts
    return data[start:at], seconds


def _after_tag(data: bytes) -> int:
    """Where the first frame may be; a tag's size is in bytes of seven bits."""
    at = 0
    while data[at : at + 3] == _ID3:
        size = 0
        for byte in data[at + 6 : at + _ID3_HEAD]:
            size = size << 7 | byte & 0x7F
        at += _ID3_HEAD + size
    return at


def _frame(head: bytes) -> tuple[int, float] | None:
    """Bytes and seconds of the frame of layer III that begins with ``head``, None if none does."""
    bits = int.from_bytes(head)
    version, layer = bits >> 19 & 3, bits >> 17 & 3
    kbps, rate, padding = bits >> 12 & 15, bits >> 10 & 3, bits >> 9 & 1
    if len(head) < 4 or bits >> 21 != 0x7FF or layer != _LAYER_III or kbps in (0, 15):
        return None
    if version not in _MP3_RATES or rate == 3:
        return None
    hertz, samples = _MP3_RATES[version][rate], 1152 if version == 3 else 576
    speed = _KBPS[1 if version == 3 else 2][kbps - 1]
    return samples // 8 * speed * 1000 // hertz + padding, samples / hertz
