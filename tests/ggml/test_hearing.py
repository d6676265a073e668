"""Recordings in prompts, with a projector of random weights."""

import json
from pathlib import Path

import pytest

from llamaedge_host.files import Files
from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.media import pictures as media
from llamaedge_host.nn import NnErrno
from llamaedge_host.nn.backend import BackendError
from llamaedge_host.preopen import Preopen

from ..models import hearing, pictures, tiny
from ..models.sounds import mp3, tag, text, tone
from .conftest import Load, counts, run, stream

LOW, HIGH = tone(220), tone(3000)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}"
    "{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
)


@pytest.fixture(scope="session")
def ears(folder: Path) -> Path:
    return hearing.ears(folder / "ears.gguf")


@pytest.fixture
def listening(load: Load, folder: Path, ears: Path, tmp_path: Path) -> GgmlContext:
    model = tiny.llama(folder / "hears.gguf", template=CHATML)
    graph = load(model, mmproj=str(ears), n_predict=8, ignore_eos=True)
    return graph.context(Files([Preopen(tmp_path, ".")], named=[str(ears)]))


def conversation(*parts: dict[str, object]) -> bytes:
    messages = [{"role": "user", "content": list(parts)}]
    return json.dumps({"conversation": {"messages": messages}}).encode()


def said(context: GgmlContext, *parts: dict[str, object]) -> bytes:
    context.set_input(1, 3, conversation(*parts))
    context.compute()
    return context.output(0)


def spoken(file: bytes, kind: str = "wav") -> dict[str, object]:
    return {"type": "input_audio", "input_audio": {"data": text(file), "format": kind}}


WRITE: dict[str, object] = {"type": "text", "text": "write it"}


def test_the_text_depends_on_the_recording(listening: GgmlContext) -> None:
    low, high = run(listening, tag(LOW) + b"write it"), run(listening, tag(HIGH) + b"write it")
    assert low != high
    assert counts(listening)[0] > hearing.TOKENS
    assert run(listening, tag(LOW) + b"write it") == low
    stream(listening, tag(LOW) + b"write it", 8)
    assert listening.output(0) == low


def test_a_conversation_has_recordings(listening: GgmlContext) -> None:
    low, high = said(listening, WRITE, spoken(LOW)), said(listening, WRITE, spoken(HIGH))
    assert low != high
    assert said(listening, WRITE, spoken(LOW)) == low
    assert said(listening, WRITE, spoken(LOW), spoken(HIGH)) != low


@pytest.mark.parametrize("form", [(1, 2, 48000, 16), (3, 1, 16000, 32), (1, 1, 8000, 8)])
def test_other_forms_are_read(listening: GgmlContext, form: tuple[int, int, int, int]) -> None:
    assert run(listening, tag(tone(220, 0.1, form)) + b"write it")


def test_mp3_is_read(listening: GgmlContext) -> None:
    assert run(listening, tag(mp3(20)) + b"write it")
    assert said(listening, spoken(mp3(20, tag=9), "mp3"), WRITE)


def test_a_longer_recording_takes_more_of_the_context(listening: GgmlContext) -> None:
    run(listening, tag(tone(220, 1)) + b"a")
    short = counts(listening)[0]
    run(listening, tag(tone(220, 31, (1, 1, 8000, 8))) + b"a")
    assert counts(listening)[0] == short + hearing.TOKENS


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        (b'<audio src="data:audio/wav;base64,!!">a', "the recording is not base64"),
        (tag(b"hello") + b"a", "the recording cannot be read: it begins with"),
        (tag(b"OggS" + bytes(40)) + b"a", "the recording cannot be read: it is an Ogg file"),
        (tag(b"fLaC\0\0\0\x22" + bytes(10) + b"\x03\xe8\0\xf0\0\0\0\xff" + bytes(16)) + b"a", "."),
        (b"a" + tag(LOW), "ends with a picture or a recording"),
        (pictures.tag(pictures.png((1, 2, 3))) + b"a", "takes no pictures: the projector ears.gg"),
    ],
)
def test_what_is_not_heard_is_told(listening: GgmlContext, prompt: bytes, why: str) -> None:
    with pytest.raises(BackendError, match=why) as raised:
        listening.set_input(0, 3, prompt)
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT
    assert run(listening, tag(LOW) + b"write it")


def test_recordings_are_bounded_together(
    listening: GgmlContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "MAX_SECONDS", 0.9)
    assert run(listening, tag(LOW) + b"a")
    with pytest.raises(BackendError, match=r"1 seconds long together; 0.9 can be read"):
        listening.set_input(0, 3, tag(LOW) + tag(HIGH) + b"a")


def test_a_model_that_only_sees_says_so(load: Load, folder: Path, tmp_path: Path) -> None:
    projector = tiny.projector(folder / "eyes.gguf")
    graph = load(tiny.llama(folder / "sees.gguf", template=CHATML), mmproj=str(projector))
    context = graph.context(Files([Preopen(tmp_path, ".")], named=[str(projector)]))
    for data, index in ((tag(LOW) + b"a", 0), (conversation(spoken(LOW), WRITE), 1)):
        with pytest.raises(BackendError, match=r"takes no sound: the projector eyes.gguf is for"):
            context.set_input(index, 3, data)


@pytest.mark.parametrize("data", [None, 5, "!!"])
def test_a_part_without_its_recording_is_told(listening: GgmlContext, data: object) -> None:
    part: dict[str, object] = {"type": "input_audio", "input_audio": {"data": data}}
    with pytest.raises(BackendError, match="a recording of the conversation cannot be used"):
        listening.set_input(1, 3, conversation(part, WRITE))


def test_a_projector_of_too_few_positions_is_refused(
    listening: GgmlContext, folder: Path, tmp_path: Path
) -> None:
    hearing.ears(tmp_path / "short.gguf", positions=100)
    listening.set_input(1, 3, b'{"mmproj": "short.gguf"}')
    with pytest.raises(BackendError, match=r"short.gguf cannot be loaded: its shapes do not fit"):
        listening.set_input(0, 3, tag(LOW) + b"a")
