"""Speech: OuteTTS's prompts, spectra to sound, the whole way with models of random weights."""

import io
import json
import wave

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_host.ggml import audio
from llamaedge_host.ggml.speech import Speaker, codes, spoken
from llamaedge_host.nn import ErrNo
from llamaedge_host.nn.backend import BackendError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, World!", "hello world"),
        ("It's well-known: a_b/c\\d.", "its well known a b c d"),
        ("0 7 13 20 21 99", "zero seven thirteen twenty twenty one ninety nine"),
        ("100 305 1985", "one hundred three hundred five one thousand nine hundred eighty five"),
        ("2000001", "two million one"),
        ("12000000000", "twelve billion"),
        ("3.05", "three point zero five"),
        ("1" + "0" * 12, "one" + " zero" * 12),
        ("\u0663 \u6f22 \u00e9", ""),
    ],
)
def test_words_are_spelt_as_the_model_learnt_them(text: str, words: str) -> None:
    assert " ".join(spoken(text)) == words


@given(st.text())
def test_any_text_is_words_of_letters(text: str) -> None:
    assert all(word.isascii() and word.isalpha() and word.islower() for word in spoken(text))


def test_codes_are_the_pieces_named_by_a_number() -> None:
    pieces = (b"<|0|>", b"sea", b"<|t_0.10|>", b"<|4099|>", b"<|code_end|>", b"17", b"<|x|>")
    assert codes(pieces) == [0, 4099]


def test_a_profile_is_said_before_the_text() -> None:
    words = [{"word": "now", "duration": 0.356, "codes": [3, 14]}]
    said = Speaker.parse(json.dumps({"words": words}).encode())
    assert said.text == "<|text_start|>now<|text_sep|>"
    assert said.audio == ("<|audio_start|>\nnow<|t_0.36|><|code_start|><|3|><|14|><|code_end|>\n")


@pytest.mark.parametrize(
    "document",
    [
        *(b"", b"\xff", b"[]", b"{}", b'{"words": 1}', b'{"words": [{}]}', b"[" * 100_000),
        b'{"words": [{"word": "a", "duration": "x", "codes": []}]}',
        b'{"words": [{"word": "a", "duration": 1, "codes": [Infinity]}]}',
    ],
)
def test_a_profile_of_another_shape_is_refused(document: bytes) -> None:
    with pytest.raises(BackendError, match="speaker's profile") as raised:
        Speaker.parse(document)
    assert raised.value.errno == ErrNo.INVALID_ARGUMENT


def spectra_of(sound: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """The short-time Fourier transform of ``sound``, as a vocoder gives it."""
    padding = (audio.WINDOW - audio.HOP) // 2
    padded = np.pad(sound, padding)
    window = np.hanning(audio.WINDOW + 1)[:-1]
    begins = range(0, len(sound), audio.HOP)
    frames = np.array([padded[begin : begin + audio.WINDOW] * window for begin in begins])
    bins = np.fft.rfft(frames)
    return np.hstack([np.log(np.abs(bins) + 1e-12), np.angle(bins)]).astype(np.float32)


@pytest.mark.parametrize("frames", [1, 2, 3, 40])
def test_spectra_give_the_sound_they_were_taken_from(frames: int) -> None:
    sound = np.random.default_rng(frames).standard_normal(frames * audio.HOP) / 10
    assert audio.samples(spectra_of(sound)) == pytest.approx(sound, abs=1e-5)


def test_a_magnitude_beyond_all_measure_is_cut() -> None:
    spectra = np.zeros((4, audio.SPECTRUM), np.float32)
    spectra[:, 5] = np.log(audio.LOUDEST)
    louder = spectra.copy()
    louder[:, 5] = 1e30
    assert np.array_equal(audio.samples(louder), audio.samples(spectra))


def test_a_wav_file_holds_the_samples() -> None:
    sound = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 7.0, -7.0], np.float32)
    with wave.open(io.BytesIO(audio.wav(sound))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        levels = np.frombuffer(file.readframes(100), "<i2")
    assert levels.tolist() == [0, 16383, -16383, 32767, -32767, 32767, -32768]
