"""POST /v1/audio/speech: a text that is read out, by a guest that makes WAV files."""

import io
import json
import wave

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..body import read_json
from ..describe import (
    BYTES,
    GUEST,
    NUMBER,
    STRING,
    Described,
    Schema,
    const,
    enum,
    nullable,
    operation,
    record,
)
from ..dialects.bridge import Json, inner, replayed
from ..dialects.fields import Fields, wrong
from ..errors import ApiError
from ..whole import Whole, with_body

PATH = "/v1/audio/speech"
WAV, PCM = "wav", "pcm"
MOST_CHARACTERS = 4096
"""Of a text, as OpenAI's."""
_FIELDS = ("model", "input", "voice", "response_format", "speed", "instructions", "stream_format")
_FORMS = (WAV, PCM)
_AUDIO: Schema = {"type": "string", "contentMediaType": "audio/wav"}
DESCRIBED: Described = {
    (PATH, "POST"): operation(
        "A text that is read out, as a WAV file or 24,000 samples a second of 16 bits",
        tag="audio",
        body=record(
            {"input": {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS}},
            model=nullable(STRING),
            voice=nullable({"anyOf": [STRING, {"type": "object"}]}),
            response_format=nullable(enum(WAV, PCM)),
            speed=nullable(NUMBER),
            instructions=nullable(const("")),
            stream_format=nullable(const("audio")),
        ),
        answers={"audio/wav": _AUDIO, "audio/pcm": _AUDIO, BYTES: {}},
        errors=(404, *GUEST),
    ),
}


class Speech:
    """An ASGI application that lets ``guest`` read out, in the form that is asked for.

    Models here have one voice, which every name of a voice means.
    """

    def __init__(self, guest: ASGIApp) -> None:
        self._guest = guest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises ApiError."""
        form, asked = _read(await read_json(scope, receive))
        body = json.dumps(asked).encode()
        samples = _Samples()
        told = Whole(send, held=_is_speech, tell=samples.of) if form == PCM else send
        await self._guest(inner(scope, PATH, len(body)), replayed(body, receive), told)
        if samples.error is not None:
            raise samples.error


def _read(request: Json) -> tuple[str, Json]:
    """The form of the answer, and the request for a guest. Raises ApiError 400."""
    fields = Fields(request)
    fields.only(_FIELDS)
    text = fields.need("input", str)
    if not 0 < len(text) <= MOST_CHARACTERS:
        raise wrong("input", f"it has {len(text)} characters; 1 to {MOST_CHARACTERS} can be sent")
    form = fields.take("response_format", str) or WAV
    if form not in _FORMS:
        raise wrong("response_format", f"{form!r} is not made here; {WAV} and {PCM} are")
    if fields.take("speed", float) not in (None, 1):
        raise wrong("speed", "speech has the speed that the model speaks at; leave it out")
    fields.refuse({"instructions": "models here speak as they were trained to"})
    if fields.take("stream_format", str) not in (None, "audio"):
        raise wrong("stream_format", "speech comes whole; leave it out")
    voice = fields.take("voice", str, dict)
    asked = {"model": fields.take("model", str), "input": text, "response_format": WAV}
    return form, asked | ({"voice": voice} if isinstance(voice, str) else {})


def _is_speech(start: Message) -> bool:
    return bool(start["status"] == 200)


class _Samples:
    """Tells the samples of a guest's WAV file alone.

    ``error`` is why they cannot be told, which the guest's application would keep to itself.
    """

    def __init__(self) -> None:
        self.error: ApiError | None = None

    def of(self, start: Message, file: bytes) -> tuple[Message, bytes] | None:
        """As Whole's ``tell``."""
        try:
            with wave.open(io.BytesIO(file)) as reader:
                samples = reader.readframes(reader.getnframes())
        except (wave.Error, EOFError) as error:
            message = f"the guest's speech is no WAV file: {error}"
            self.error = ApiError(502, message, code="guest_answer")
            return None
        return with_body(start, samples, (b"content-type", b"audio/pcm")), samples
