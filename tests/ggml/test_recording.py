"""Sound files, as far as they are looked at before anything decodes them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_host.ggml.media import recording
from llamaedge_host.ggml.media.recording import RecordingError

from ..models.sounds import PLAIN, Form, mp3, tone, wav


def readable(file: bytes) -> bytes:
    return recording.readable(file)[0]


FORMS: list[Form] = [
    *((1, channels, 8000, bits) for channels in (1, 2, 6) for bits in (8, 16, 24, 32)),
    *((3, 2, 48000, bits) for bits in (32, 64)),
    *((tag, 1, 8000, 8) for tag in (6, 7)),
]


@pytest.mark.parametrize("form", FORMS)
def test_a_wav_file_goes_on_with_a_plain_header(form: Form) -> None:
    file = tone(440, 0.01, form)
    assert readable(file) == file
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    frames = file[44:]
    assert readable(wav(frames, form, extra=extra) + b"LIST\0\0\0\0") == file
    assert readable(wav(frames + b"\0", form)[:-1]) == file


def test_the_form_may_be_an_extensible_one() -> None:
    file = tone(440, 0.01)
    head = struct.pack("<HHIIHH", 0xFFFE, 1, 16000, 32000, 2, 16)
    head += struct.pack("<HHIH", 22, 16, 4, 1) + bytes(14)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + file[36:]
    assert readable(b"RIFF" + struct.pack("<I", len(body)) + body) == file


def test_a_length_that_is_not_known_yet_is_that_of_the_file() -> None:
    frames = bytes(320)
    assert readable(wav(frames, size=0xFFFFFFFF)) == wav(frames)


@pytest.mark.parametrize("tag", [0, 5, 300])
def test_of_an_mp3_the_frames_go_on(tag: int) -> None:
    assert readable(mp3(5, tag=tag) + b"TAG" + bytes(125)) == mp3(5)
    assert readable(mp3(5, tag=tag) + b"\xff\xfb\x90\xc4 cut off") == mp3(5)


def flac(samples: int, rate: int = 16000) -> bytes:
    info = rate << 44 | 15 << 36 | samples
    return b"fLaC\0\0\0\x22" + bytes(10) + info.to_bytes(8) + bytes(16)


def test_flac_is_left_as_it_is() -> None:
    assert readable(flac(16000)) == flac(16000)


def test_it_tells_how_long_it_is() -> None:
    assert recording.readable(tone(99, 0.25))[1] == 0.25
    assert recording.readable(mp3(5))[1] == pytest.approx(5 * 1152 / 44100)
    assert recording.readable(flac(24000))[1] == 1.5


REFUSED = {
    "nothing": (b"", "it is empty"),
    "a text": (b"hello there", 'it begins with "hello there"'),
    "Ogg": (b"OggS" + bytes(60), "it is an Ogg file; WAV, MP3 and FLAC"),
    "M4A": (bytes(4) + b"ftypM4A " + bytes(60), "an MP4 or M4A file"),
    "WebM": (b"\x1aE\xdf\xa3" + bytes(60), "WebM"),
    "AAC": (b"\xff\xf1" + bytes(60), "AAC"),
    "a head alone": (b"RIFF\0\0\0\0WAVE", "no sound"),
    "a form cut off": (tone(440)[:30], "cut off within its header"),
    "no form": (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "before its format"),
    "silence of no length": (wav(b""), "no sound in it"),
    "half a sample": (wav(b"\0"), "no sound in it"),
    "ADPCM": (wav(bytes(64), (2, 1, 8000, 4)), "format 2 with 4 bits"),
    "odd bits": (wav(bytes(64), (1, 1, 8000, 12)), "format 1 with 12 bits"),
    "no channels": (wav(bytes(64), (1, 0, 8000, 16)), "0 channels"),
    "very slow samples": (wav(bytes(6000), (1, 1, 1, 16)), "it has 1 samples a second"),
    "many channels": (wav(bytes(9000), (1, 3000, 8000, 8)), "3000 channels"),
    "hours": (wav(bytes(2_000_000), (1, 1, 1000, 8)), "2000 seconds long; 1800"),
    "hours of MP3": (mp3(69_000), "1802 seconds long"),
    "hours of FLAC": (flac((1 << 36) - 1), "seconds long; 1800"),
    "FLAC of no length": (flac(0), "how long"),
    "FLAC cut off": (flac(5)[:12], "."),
    "a tag alone": (mp3(0, tag=9), "no sound in it"),
    "a tag that leads nowhere": (b"ID3\4\0\0\x7f\x7f\x7f\x7f" + mp3(3), "no sound in it"),
    "a frame of any length": (b"\xff\xfb\x00\xc4" + bytes(60), "begins with the bytes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_decoded_is_told(name: str) -> None:
    file, said = REFUSED[name]
    with pytest.raises(RecordingError, match=said):
        readable(file)


def test_a_file_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    file = tone(440)
    monkeypatch.setattr(recording, "MAX_BYTES", len(file) - 1)
    with pytest.raises(RecordingError, match="more than"):
        readable(file)


@given(st.binary(max_size=60), st.sampled_from([tone(99, 0.01), mp3(2), flac(9), b"ID3", PLAIN]))
def test_any_bytes_are_read_or_refused(junk: bytes, start: bytes | Form) -> None:
    file = start if isinstance(start, bytes) else wav(junk)
    for data in (junk, file[:9] + junk, file[:25] + junk + file[25:], file + junk):
        try:
            found = readable(data)
        except RecordingError as error:
            assert str(error)
        else:
            assert 0 < len(found) <= len(data) + 44
