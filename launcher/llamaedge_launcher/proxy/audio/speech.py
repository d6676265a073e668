"""POST /v1/audio/speech: a text that is read out, by a guest that makes WAV files."""

import io
import json
import wave

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..body import check_json, check_type, read_body
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

PATH = "/v1/audio/speech"
WAV, PCM = "wav", "pcm"
MOST_CHARACTERS = 4096
"""Of a text, as OpenAI's."""
_FIELDS = ("model", "input", "voice", "response_format", "speed", "instructions", "stream_format")
_KINDS = {WAV: b"audio/wav", PCM: b"audio/pcm"}
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
        check_type(scope)
        try:
            form, asked = _read(check_json(await read_body(scope, receive)))
        except ClientDisconnect:
            return
        body = json.dumps(asked).encode()
        told = _Told(form, send)
        await self._guest(inner(scope, PATH, len(body)), replayed(body, receive), told.send)
        if told.error is not None:
            raise told.error


def _read(request: Json) -> tuple[str, Json]:
    """The form of the answer, and the request for a guest. Raises ApiError 400."""
    fields = Fields(request)
    fields.only(_FIELDS)
    text = fields.need("input", str)
    if not 0 < len(text) <= MOST_CHARACTERS:
        raise wrong("input", f"it has {len(text)} characters; 1 to {MOST_CHARACTERS} can be sent")
    form = fields.take("response_format", str) or WAV
    if form not in _KINDS:
        raise wrong("response_format", f"{form!r} is not made here; {WAV} and {PCM} are")
    if fields.take("speed", float) not in (None, 1):
        raise wrong("speed", "speech has the speed that the model speaks at; leave it out")
    fields.refuse({"instructions": "models here speak as they were trained to"})
    if fields.take("stream_format", str) not in (None, "audio"):
        raise wrong("stream_format", "speech comes whole; leave it out")
    voice = fields.take("voice", str, dict)
    asked = {"model": fields.take("model", str), "input": text, "response_format": WAV}
    return form, asked | ({"voice": voice} if isinstance(voice, str) else {})


class _Told:
    """Sends on what a guest says; of a WAV file in the ``form`` PCM the samples alone."""

    def __init__(self, form: str, send: Send) -> None:
        self._form = form
        self._send = send
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self.error: ApiError | None = None
        """Why the answer cannot be told, which the guest's application may keep to itself."""

    async def send(self, message: Message) -> None:
        """As an application's ``send``."""
        if self._form == WAV:
            await self._send(message)
        elif message["type"] == "http.response.start" and message["status"] == 200:
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._tell(self._start, b"".join(self._parts))

    async def _tell(self, start: Message, file: bytes) -> None:
        try:
            samples = _samples(file)
        except ApiError as error:
            self.error = error
            return
        about = (b"content-type", b"content-length")
        headers = [pair for pair in start["headers"] if pair[0].lower() not in about]
        headers += [(about[0], _KINDS[PCM]), (about[1], b"%d" % len(samples))]
        await self._send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": samples})


def _samples(file: bytes) -> bytes:
    try:
        with wave.open(io.BytesIO(file)) as reader:
            samples: bytes = reader.readframes(reader.getnframes())
            return samples
    except (wave.Error, EOFError) as error:
        message = f"the guest's speech is no WAV file: {error}"
        raise ApiError(502, message, code="guest_answer") from error
