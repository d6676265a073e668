"""POST /v1/audio/transcriptions and translations: a chat about a recording, for models that hear.

https://platform.openai.com/docs/api-reference/audio
"""

import base64
import json
from typing import Any

from ..describe import (
    EVENTS,
    GUEST,
    JSON,
    PLAIN,
    STRING,
    Described,
    Operation,
    Schema,
    enum,
    operation,
    record,
)
from ..dialects.bridge import CHAT, Json, Stream, Translated
from ..dialects.fields import Fields, wrong
from ..errors import ApiError
from ..guest_api import STREAM
from .form import FILE

TRANSCRIPTIONS, TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"
_FORMS = ("json", "text")
_NO_TIMES = "models here do not tell when a word was said"
_REFUSED = {
    "timestamp_granularities": _NO_TIMES,
    "include": "a transcript has no probabilities here; ask /v1/chat/completions",
    "known_speaker_names": "models here do not tell speakers apart",
    "known_speaker_references": "models here do not tell speakers apart",
}
_COMMON = ("file", "model", "prompt", "response_format", "temperature", "stream", "max_tokens")
_CUT = "the transcript does not fit into the model's context; send a shorter recording"


class Transcription:
    """Writes a recording down, by the ``instruction`` unless the request's prompt is another."""

    def __init__(self, instruction: str, *, translates: bool) -> None:
        self._instruction = instruction
        self._known = _COMMON if translates else (*_COMMON, "language", "chunking_strategy")

    async def read(self, request: Json) -> Translated:
        """As a chat completion."""
        fields = Fields(request)
        fields.refuse(_REFUSED)
        fields.only(self._known)
        recording = _recording(fields)
        form = fields.take("response_format", str) or _FORMS[0]
        if form not in _FORMS:
            why = _NO_TIMES if form in ("srt", "vtt", "verbose_json") else "nothing else is made"
            raise wrong("response_format", f"{form!r} is not {' or '.join(_FORMS)}: {why}")
        if fields.take("chunking_strategy", str) not in (None, "auto"):
            raise wrong("chunking_strategy", "recordings are cut as the model needs it: auto")
        text = fields.take("prompt", str) or self._instruction
        if language := fields.take("language", str):
            text = f"{text} (language: {language})"
        content = [{"type": "text", "text": text}, recording]
        body: Json = {
            "model": fields.take("model", str),
            "messages": [{"role": "user", "content": content}],
            "temperature": _number(fields, "temperature", 0.0),
            "max_tokens": int(_number(fields, "max_tokens", -1)),
        }
        streams = _switch(fields, "stream")
        if streams:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return Translated(CHAT, body, _Writing() if streams else None, _Answer(form))

    def error(self, status: int, error: Json) -> Json:
        """OpenAI's error, whose field is that of the form."""
        param = FILE if str(error.get("param") or "").startswith("messages") else error.get("param")
        return {"error": {**error, "param": param}}


class _Answer:
    def __init__(self, form: str) -> None:
        self._form = form

    def __call__(self, answer: Json, /) -> Any:
        """The transcript. Raises ApiError 400 for one that is cut off."""
        choice = answer["choices"][0]
        if choice["finish_reason"] == "length":
            raise ApiError(400, _CUT, code="context_length_exceeded", param=FILE)
        text = (choice["message"].get("content") or "").strip()
        return text + "\n" if self._form == "text" else {"text": text, "usage": _usage(answer)}


class _Writing(Stream):
    """Tells a transcript in events."""

    media_type = EVENTS

    def __init__(self) -> None:
        self._text = ""
        self._cut = False
        self._usage: Json = {}

    def chunk(self, chunk: Json) -> bytes:
        """As Stream's."""
        self._usage = _usage(chunk) or self._usage
        events = []
        for choice in chunk["choices"]:
            self._cut = self._cut or choice.get("finish_reason") == "length"
            if piece := (choice.get("delta") or {}).get("content"):
                self._text += piece
                events.append(_event("delta", delta=piece))
        return b"".join(events)

    def silence(self) -> bytes:
        """As Stream's."""
        return b": the recording is being heard\n\n"

    def end(self) -> bytes:
        """As Stream's."""
        if self._cut:
            return ApiError(400, _CUT, code="context_length_exceeded", param=FILE).frame()
        return _event("done", text=self._text, usage=self._usage)

    def fail(self, status: int, error: Json) -> bytes:
        """As Stream's."""
        return b"data: %s\n\n" % json.dumps({"error": error}).encode()


def _event(kind: str, **values: Any) -> bytes:
    return b"data: %s\n\n" % json.dumps({"type": f"transcript.text.{kind}", **values}).encode()


def _usage(answer: Json) -> Json:
    usage = answer.get("usage")
    if not usage:
        return {}
    return {
        "type": "tokens",
        "input_tokens": usage["prompt_tokens"],
        "output_tokens": usage["completion_tokens"],
        "total_tokens": usage["total_tokens"],
    }


def _recording(fields: Fields) -> Json:
    file = fields.need(FILE, bytes)
    if not file:
        raise wrong(FILE, "it is empty")
    kind = "mp3" if file[:3] == b"ID3" or (file[0] == 0xFF and file[1:2] >= b"\xe0") else "wav"
    return {
        "type": "input_audio",
        "input_audio": {"data": base64.b64encode(file).decode(), "format": kind},
    }


def _number(fields: Fields, name: str, otherwise: float) -> float:
    text = fields.take(name, str)
    try:
        return otherwise if text is None else float(text)
    except ValueError:
        raise wrong(name, f"{text!r} is not a number") from None


def _switch(fields: Fields, name: str) -> bool:
    text = (fields.take(name, str) or "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise wrong(name, f"{text!r} is neither true nor false")
    return text in ("true", "1")


SPOKEN = {
    TRANSCRIPTIONS: Transcription("Transcribe audio to text", translates=False),
    TRANSLATIONS: Transcription("Translate what is said into English text", translates=True),
}
_TOKENS = record({"type": STRING})


def _described(summary: str, **more: Schema) -> Operation:
    return operation(
        summary,
        tag="audio",
        form=record(
            {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
            model=STRING,
            prompt=STRING,
            response_format=enum(*_FORMS),
            temperature=STRING,
            stream=enum("true", "false"),
            **more,
        ),
        answers={JSON: record({"text": STRING}, usage=_TOKENS), PLAIN: STRING, EVENTS: STREAM},
        errors=(404, *GUEST),
    )


DESCRIBED: Described = {
    (TRANSCRIPTIONS, "POST"): _described(
        "What is said in a WAV, MP3 or FLAC file, by a model that hears",
        language=STRING,
        chunking_strategy=enum("auto"),
    ),
    (TRANSCRIPTIONS.removeprefix("/v1"), "POST"): _described(
        "The same, by the name that llama.cpp's server has for it", language=STRING
    ),
    (TRANSLATIONS, "POST"): _described("What is said in it, in English"),
}
