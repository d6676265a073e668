"""Requests for speech and transcripts, and what of them is not obeyed."""

import json
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest

from llamaedge_launcher.proxy.audio.transcription import SPOKEN
from llamaedge_launcher.proxy.errors import ApiError

from ...models.sounds import mp3, text, tone
from ..conftest import Front, starting

WAV = tone(220, 0.05)
SPEECH = "/v1/audio/speech"
TRANSCRIPTIONS, TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with starting(tmp_path_factory.mktemp("front")) as start:
        yield start(max_body_size=100_000)


def spoken(client: httpx.Client, **fields: Any) -> Any:
    """What the guest is asked."""
    response = client.post(SPEECH, json={"input": "Hello"} | fields)
    assert response.status_code == 200, response.text
    asked = response.json()
    assert asked["line"] == f"POST {SPEECH} HTTP/1.1"
    return json.loads(asked["body"])


def test_a_guest_is_asked_for_a_wav_file(client: httpx.Client) -> None:
    plain = {"model": None, "input": "Hello", "response_format": "wav"}
    assert spoken(client) == plain
    assert spoken(client, speed=1, response_format="wav", stream_format="audio") == plain
    assert spoken(client, model="m", voice="alloy") == plain | {"model": "m", "voice": "alloy"}


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"response_format": "mp3"}, "response_format", "'mp3' is not made here; wav and pcm are"),
        ({"speed": 1.5}, "speed", "leave it out"),
        ({"speed": "fast"}, "speed", "must be a number"),
        ({"instructions": "Whisper."}, "instructions", "as they were trained to"),
        ({"stream_format": "sse"}, "stream_format", "comes whole"),
        ({"input": ""}, "input", "0 characters"),
        ({"input": "a" * 4097}, "input", "4097 characters; 1 to 4096"),
        ({"input": ["a"]}, "input", "must be a string"),
        ({"input": None}, "input", "has no 'input'"),
        ({"pitch": 3}, "pitch", "no such setting"),
    ],
)
def test_what_of_speech_is_not_obeyed_is_named(
    client: httpx.Client, fields: dict[str, Any], param: str, said: str
) -> None:
    response = client.post(SPEECH, json={"input": "Hello"} | fields)
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["param"] == param
    assert said in error["message"]


def test_what_is_no_wav_file_is_the_guests_fault(client: httpx.Client) -> None:
    response = client.post(SPEECH, json={"input": "Hello", "response_format": "pcm"})
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "guest_answer"


def sent(client: httpx.Client, *, file: bytes = WAV, **fields: str | list[str]) -> httpx.Response:
    return client.post(TRANSCRIPTIONS, files={"file": ("a", file)}, data=fields)


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"response_format": "srt"}, "response_format", "'srt' is not json or text: models"),
        ({"response_format": "verbose_json"}, "response_format", "when a word was said"),
        ({"response_format": "xml"}, "response_format", "nothing else is made"),
        ({"timestamp_granularities[]": ["word"]}, "timestamp_granularities", "when a word"),
        ({"include[]": ["logprobs"]}, "include", "no probabilities"),
        ({"temperature": "warm"}, "temperature", "'warm' is not a number"),
        ({"stream": "maybe"}, "stream", "neither true nor false"),
        ({"chunking_strategy": "{}"}, "chunking_strategy", "auto"),
        ({"speed": "2"}, "speed", "no such setting"),
        ({"language": ["en", "de"]}, "language", "twice"),
    ],
)
def test_what_of_a_form_is_not_obeyed_is_named(
    client: httpx.Client, fields: dict[str, Any], param: str, said: str
) -> None:
    response = sent(client, **fields)
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["param"] == param
    assert said in error["message"]


def test_a_form_must_have_a_recording(client: httpx.Client) -> None:
    none = client.post(TRANSCRIPTIONS, files={"other": ("a", b"x")}, data={"model": "m"})
    assert none.status_code == 400
    assert none.json()["error"]["param"] in ("file", "other")
    words = client.post(TRANSCRIPTIONS, files={"file": (None, "hi")})
    assert "file: it must be a file" in words.json()["error"]["message"]
    assert "it is empty" in sent(client, file=b"").json()["error"]["message"]
    two = client.post(TRANSCRIPTIONS, files=[("file", ("a", WAV)), ("file", ("b", WAV))])
    assert two.status_code == 400
    plain = client.post(TRANSCRIPTIONS, json={"file": "a"})
    assert plain.status_code == 415
    assert sent(client, file=bytes(200_000)).status_code == 413
    for kind in ("multipart/form-data", "multipart/form-data; boundary=b"):
        broken = client.post(TRANSCRIPTIONS, content=b"--a\r\nx", headers={"Content-Type": kind})
        assert broken.status_code == 400, broken.text
        assert broken.json()["error"]["code"] == "invalid_form"


def chat(path: str = TRANSCRIPTIONS, **fields: Any) -> dict[str, Any]:
    """The chat completion that is asked for."""
    return anyio.run(SPOKEN[path].read, {"file": WAV} | fields).body


@pytest.mark.parametrize(("file", "kind"), [(WAV, "wav"), (mp3(2), "mp3"), (mp3(2, tag=3), "mp3")])
def test_a_recording_is_a_chat(file: bytes, kind: str) -> None:
    recording = {"data": text(file), "format": kind}
    assert chat(file=file) == {
        "model": None,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Transcribe audio to text"},
                    {"type": "input_audio", "input_audio": recording},
                ],
            }
        ],
        "temperature": 0.0,
        "max_tokens": -1,
    }


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        (TRANSCRIPTIONS, {"language": "de"}, "Transcribe audio to text (language: de)"),
        (TRANSCRIPTIONS, {"prompt": "Write."}, "Write."),
        (TRANSCRIPTIONS, {"prompt": "Write.", "language": "de"}, "Write. (language: de)"),
        (TRANSLATIONS, {}, "Translate what is said into English text"),
    ],
)
def test_the_form_says_what_is_asked(path: str, fields: dict[str, str], said: str) -> None:
    assert chat(path, **fields)["messages"][0]["content"][0]["text"] == said


def test_settings_come_as_texts() -> None:
    asked = chat(temperature="0.5", max_tokens="9", stream="true", model="m")
    assert (asked["temperature"], asked["max_tokens"], asked["model"]) == (0.5, 9, "m")
    assert asked["stream"] is True


def test_a_translation_takes_no_language(client: httpx.Client) -> None:
    form = {"file": ("a", WAV)}
    response = client.post(TRANSLATIONS, files=form, data={"language": "de"})
    assert response.json()["error"]["param"] == "language"


def test_a_transcript_that_is_cut_off_is_an_error() -> None:
    answer = anyio.run(SPOKEN[TRANSCRIPTIONS].read, {"file": WAV}).answer
    cut = {"choices": [{"finish_reason": "length", "message": {"content": "He"}}]}
    with pytest.raises(ApiError, match="does not fit into the model's context"):
        answer(cut)
    stream = anyio.run(SPOKEN[TRANSCRIPTIONS].read, {"file": WAV, "stream": "true"}).stream
    assert stream is not None
    stream.chunk({"choices": [{"delta": {"content": "He"}, "finish_reason": "length"}]})
    assert b"does not fit" in stream.end()
