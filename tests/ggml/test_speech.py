"""Speech: OuteTTS's prompts, spectra to sound, the whole way with models of random weights."""

import io
import json
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_host.files import Files
from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.media import audio
from llamaedge_host.ggml.media.speech import Speaker, codes, spoken
from llamaedge_host.nn import NnErrno
from llamaedge_host.nn.backend import BackendError
from llamaedge_host.preopen import Preopen

from ..models import speech as models
from .conftest import ANYWHERE, Load, counts, run


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
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT


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


HELLO = b"Hello, world."


@pytest.fixture(scope="session")
def speaking(folder: Path) -> Path:
    return models.speaker(folder / "speaker.gguf")


@pytest.fixture(scope="session")
def vocoder(folder: Path) -> Path:
    return models.vocoder(folder / "vocoder.gguf")


@pytest.fixture
def context(load: Load, speaking: Path, vocoder: Path, tmp_path: Path, folder: Path) -> GgmlContext:
    graph = load(speaking, tts=True, model_vocoder=str(vocoder), n_predict=40, tts_output_file="")
    folders = Preopen(tmp_path, "."), *(Preopen(each, str(each)) for each in (tmp_path, folder))
    return graph.context(Files(folders))


def heard(data: bytes) -> npt.NDArray[np.int16]:
    with wave.open(io.BytesIO(data)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_a_text_is_spoken(context: GgmlContext) -> None:
    data = run(context, HELLO)
    levels = heard(data)
    told, made = counts(context)
    assert len(levels) % audio.HOP == 0
    assert 0 < len(levels) // audio.HOP <= made == 40
    assert not levels[: audio.SILENCED].any()
    assert levels[audio.SILENCED :].any()
    assert told > len("hello world")
    assert run(context, HELLO) == data


def test_another_text_and_another_speaker_sound_otherwise(
    context: GgmlContext, tmp_path: Path
) -> None:
    plain = run(context, HELLO)
    assert run(context, b"Goodbye, sea.") != plain
    profile = tmp_path / "speaker.json"
    words = [{"word": "now", "duration": 0.1, "codes": [3, 14, 15]}]
    profile.write_text(json.dumps({"words": words}))
    told = counts(context)[0]
    context.set_input(1, 3, json.dumps({"tts-speaker-file": profile.name}).encode())
    assert run(context, HELLO) != plain
    assert counts(context)[0] > told


def test_speech_is_written_to_a_file_of_the_guest(context: GgmlContext, tmp_path: Path) -> None:
    context.set_input(1, 3, b'{"tts-output-file": "said.wav"}')
    data = run(context, HELLO)
    assert (tmp_path / "said.wav").read_bytes() == data
    context.set_input(1, 3, b'{"tts-output-file": "none/said.wav"}')
    context.set_input(0, 3, HELLO)
    with pytest.raises(BackendError, match="cannot be written to") as raised:
        context.compute()
    assert raised.value.errno == NnErrno.RUNTIME_ERROR
    assert context.output(0) == data


def test_without_tts_the_text_comes(context: GgmlContext) -> None:
    context.set_input(1, 3, b'{"tts": false}')
    assert run(context, HELLO)[:4] != b"RIFF"
    context.set_input(1, 3, b'{"tts": true}')
    assert run(context, HELLO)[:4] == b"RIFF"


def test_graphs_share_a_vocoder(load: Load, speaking: Path, vocoder: Path) -> None:
    graphs = [load(speaking, tts=True, model_vocoder=str(vocoder)) for _ in range(2)]
    assert len({id(graph.vocoder(str(vocoder))) for graph in graphs}) == 1


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"model-vocoder": ""}, "metadata names none"),
        ({"model-vocoder": "nope.gguf"}, "nope.gguf cannot be read: No such file"),
        ({"tts-speaker-file": "nope.json"}, "nope.json cannot be read: No such file"),
    ],
)
def test_what_speech_lacks_is_said(
    context: GgmlContext, metadata: dict[str, str], said: str
) -> None:
    context.set_input(1, 3, json.dumps(metadata).encode())
    with pytest.raises(BackendError, match=said) as raised:
        context.set_input(0, 3, HELLO)
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT


def test_a_vocoder_is_the_guests_or_named_on_the_command_line(
    load: Load, speaking: Path, vocoder: Path
) -> None:
    graph = load(speaking, tts=True, model_vocoder=str(vocoder))
    with pytest.raises(BackendError, match=r"the vocoder .* cannot be read: .* with --dir"):
        graph.context().set_input(0, 3, HELLO)
    graph.context(Files(named=[str(vocoder)])).set_input(0, 3, HELLO)


def test_a_text_without_words_is_refused(context: GgmlContext) -> None:
    with pytest.raises(BackendError, match="no word to speak"):
        context.set_input(0, 3, "\u6f22\u5b57 ...".encode())


@pytest.mark.parametrize("wrong", [{"spectrum": 1280}, {"posnet": 5}, {"convnext": 16}])
def test_a_vocoder_of_another_shape_is_refused(
    context: GgmlContext, tmp_path: Path, wrong: dict[str, int]
) -> None:
    path = models.vocoder(tmp_path / "vocoder.gguf", **wrong)
    context.set_input(1, 3, json.dumps({"model-vocoder": str(path)}).encode())
    with pytest.raises(BackendError, match=r"the vocoder .* cannot be loaded") as raised:
        context.set_input(0, 3, HELLO)
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT


def test_another_model_is_no_vocoder(context: GgmlContext, tiny_llama: Path) -> None:
    context.set_input(1, 3, json.dumps({"model-vocoder": str(tiny_llama)}).encode())
    with pytest.raises(BackendError, match="a llama model, not wavtokenizer-dec"):
        context.set_input(0, 3, HELLO)


def test_a_model_that_says_no_code_makes_no_sound(load: Load, folder: Path, vocoder: Path) -> None:
    silent = models.speaker(folder / "silent.gguf", speaks=False)
    context = load(silent, tts=True, model_vocoder=str(vocoder), n_predict=8).context(ANYWHERE)
    context.set_input(0, 3, HELLO)
    with pytest.raises(BackendError, match="no sound") as raised:
        context.compute()
    assert raised.value.errno == NnErrno.RUNTIME_ERROR


def test_long_speech_is_computed_in_pieces(
    context: GgmlContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = heard(run(context, HELLO))
    monkeypatch.setattr("llamaedge_host.ggml.media.vocoder.LONGEST", 16)
    assert len(heard(run(context, HELLO))) == len(whole)
