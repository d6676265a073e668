"""What is heard and read out, by `llamaedge run` on models of random weights."""

import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from ...models import hearing, pictures, sounds, speech, tiny
from ..running import Server, running

LOW, HIGH = sounds.tone(220), sounds.tone(3000)
OPTIONS = ("--ctx-size", "512", "--temp", "0", "--seed", "1", "--log-level", "warning")


@pytest.fixture(scope="module")
def hears(tmp_path_factory: pytest.TempPathFactory, module_cache: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hears")
    model = tiny.llama(folder / "model.gguf", brief=True)
    ears = hearing.ears(folder / "ears.gguf")
    with running(folder, str(model), "-p", "chatml", "--llava-mmproj", str(ears), *OPTIONS) as it:
        it.wait_ready()
        yield it
        assert it.process.poll() is None


@pytest.fixture(scope="module")
def speaks(tmp_path_factory: pytest.TempPathFactory, module_cache: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("speaks")
    model = speech.speaker(folder / "model.gguf", seed=5, ends=True)
    vocoder = speech.vocoder(folder / "vocoder.gguf")
    chatml = ("-p", "chatml", "--model-vocoder", str(vocoder), "--ctx-size", "2048")
    with running(folder, str(model), *OPTIONS[2:], *chatml) as it:
        it.wait_ready()
        yield it
        assert it.process.poll() is None


def client(server: Server) -> OpenAI:
    url = f"{server.wait_ready()}/v1"
    return OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60)


def part(file: bytes, kind: str = "wav") -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": sounds.text(file), "format": kind}}


def asked(server: Server, *parts: dict[str, Any]) -> Any:
    messages: Any = [{"role": "user", "content": [*parts, {"type": "text", "text": "write it"}]}]
    return client(server).chat.completions.create(
        model="default", messages=messages, temperature=0, max_completion_tokens=8
    )


def test_a_chat_hears(hears: Server) -> None:
    low, high = asked(hears, part(LOW)), asked(hears, part(HIGH))
    assert low.choices[0].message.content != high.choices[0].message.content
    assert low.usage.prompt_tokens > hearing.TOKENS
    assert asked(hears, part(sounds.mp3(20), "mp3")).choices


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"OggS" + bytes(60), "it is an Ogg file; WAV, MP3 and FLAC can be read"),
        (sounds.wav(b""), "no sound in it"),
        (sounds.wav(bytes(2_000_000), (1, 1, 1000, 8)), "2000 seconds long"),
    ],
)
def test_what_cannot_be_heard_is_the_clients_error(hears: Server, file: bytes, said: str) -> None:
    with pytest.raises(openai.BadRequestError, match=said):
        asked(hears, part(file))
    with pytest.raises(openai.BadRequestError, match=said) as raised:
        client(hears).audio.transcriptions.create(model="default", file=("a.wav", file))
    assert raised.value.param == "file"


def test_what_a_model_takes_is_told(hears: Server, speaks: Server) -> None:
    def told(server: Server) -> list[Any]:
        url = server.wait_ready()
        model, *_ = httpx.get(f"{url}/api/models", timeout=60, trust_env=False).json()["data"]
        other, *_ = httpx.get(f"{url}/v1/models", timeout=60, trust_env=False).json()["models"]
        props = httpx.get(f"{url}/props", timeout=60, trust_env=False).json()
        return [model["capabilities"], other["capabilities"], props["modalities"]]

    hearing_alone = {"vision": False, "audio": True, "video": False}
    assert told(hears) == [["chat", "audio"], ["completion", "multimodal"], hearing_alone]
    assert told(speaks)[:2] == [["chat"], ["completion"]]


def test_a_model_that_does_not_see_says_so(hears: Server) -> None:
    picture = {"type": "image_url", "image_url": {"url": pictures.url(pictures.png((1, 2, 3)))}}
    with pytest.raises(openai.BadRequestError, match="takes no pictures"):
        asked(hears, picture)


def test_a_recording_is_written_down(hears: Server) -> None:
    api = client(hears).audio.transcriptions
    whole = api.create(model="default", file=("a.wav", LOW), language="en", temperature=0.0)
    assert whole.text
    assert whole.usage is not None and whole.usage.type == "tokens"
    assert whole.usage.input_tokens > hearing.TOKENS
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
    text = api.create(model="default", file=("a.wav", LOW), language="en", response_format="text")
    assert str(text) == whole.text + "\n"
    events = list(api.create(model="default", file=("a.wav", LOW), language="en", stream=True))
    assert [each.type for each in events[:-1]] == ["transcript.text.delta"] * (len(events) - 1)
    last = events[-1]
    assert last.type == "transcript.text.done"
    assert last.text.strip() == whole.text
    assert last.usage is not None and last.usage.output_tokens == whole.usage.output_tokens


def test_it_is_translated_too(hears: Server) -> None:
    found = client(hears).audio.translations.create(model="default", file=("a.mp3", sounds.mp3(20)))
    assert found.text


def test_a_model_that_does_not_hear_says_so(speaks: Server) -> None:
    for call in (lambda: asked(speaks, part(LOW)), lambda: transcribed(speaks)):
        with pytest.raises(openai.BadRequestError, match="takes no audio: the server was started"):
            call()


def transcribed(server: Server) -> Any:
    return client(server).audio.transcriptions.create(model="default", file=("a.wav", LOW))


def heard(data: bytes) -> bytes:
    with wave.open(io.BytesIO(data)) as file:
        form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        assert form == (1, 2, 24_000)
        return file.readframes(file.getnframes())


def test_a_text_is_read_out(speaks: Server) -> None:
    api = client(speaks).audio.speech
    answer = api.create(model="default", voice="alloy", input="Hello, world.")
    assert answer.response.headers["content-type"] == "audio/wav"
    assert heard(answer.content)
    pcm = api.create(model="default", voice="x", input="Hello, world.", response_format="pcm")
    assert pcm.response.headers["content-type"] == "audio/pcm"
    assert len(pcm.content) % 640 == 0
    assert not pcm.content.startswith(b"RIFF")


def test_it_is_read_out_while_others_are_answered(speaks: Server) -> None:
    api = client(speaks)
    with api.audio.speech.with_streaming_response.create(
        model="default", voice="a", input="One two three."
    ) as answer:
        said = api.chat.completions.create(
            model="default", messages=[{"role": "user", "content": "a"}], max_completion_tokens=2
        )
        assert said.choices
        assert heard(answer.read())


def test_speech_that_cannot_be_made_is_the_clients_error(speaks: Server, hears: Server) -> None:
    api = client(speaks).audio.speech
    with pytest.raises(openai.BadRequestError, match="there is no word to speak"):
        api.create(model="default", voice="a", input="...")
    with pytest.raises(openai.BadRequestError, match="exceeds the available context"):
        api.create(model="default", voice="a", input="sea " * 900)
    with pytest.raises(openai.BadRequestError, match=r"does not speak.*--model-vocoder"):
        client(hears).audio.speech.create(model="default", voice="a", input="Hello.")


def test_llama_cpps_path_is_there(hears: Server) -> None:
    form = {"file": ("a.wav", LOW)}
    url = f"{hears.wait_ready()}/audio/transcriptions"
    assert httpx.post(url, files=form, timeout=60, trust_env=False).json()["text"]
