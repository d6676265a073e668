"""POST /completion and /infill."""

from typing import Any

from ... import guest_api
from ...describe import (
    BOOLEAN,
    EVENTS,
    GUEST,
    JSON,
    STRING,
    Described,
    array,
    nullable,
    operation,
    record,
)
from ..bridge import COMPLETIONS, Answer, Json, Translated
from ..fields import Fields, wrong
from .media import Media
from .told import Told, ToldStream

_OWN = ("prompt", "response_fields", "input_prefix", "input_suffix", "input_extra")
_NOT_SETTINGS = ("stream", "return_tokens", "verbose")


class Completion:
    """POST /completion."""

    async def read(self, request: Json) -> Translated:
        """As a completion."""
        media = Media()
        prompt = _prompt(Fields(request).need("prompt", str, list, dict), media)
        return _translated(request, {"prompt": prompt}, media)

    def error(self, status: int, error: Json) -> Json:
        """OpenAI's error object, which llama.cpp's server answers too."""
        return {"error": error}


class Infill(Completion):
    """POST /infill."""

    async def read(self, request: Json) -> Translated:
        """As a completion with a suffix."""
        fields = Fields(request)
        fields.refuse(
            {
                "input_extra": "files beside the one to fill in are not supported",
                "prompt": "what begins the gap's text is not supported",
            }
        )
        suffix = fields.need("input_suffix", str)
        if not suffix:
            raise wrong(
                "input_suffix", "it must not be empty; ask /completion to go on from a text"
            )
        body = {"prompt": fields.need("input_prefix", str), "suffix": suffix}
        return _translated(request, body, Media())


def _prompt(given: Any, media: Media, where: str = "prompt") -> Any:
    """The prompt as /v1/completions takes it: an object is the text that it has, and its files."""
    if isinstance(given, list):
        return [
            _prompt(each, media, f"{where}[{number}]") if isinstance(each, dict) else each
            for number, each in enumerate(given)
        ]
    return media.placed(Fields(given, where)) if isinstance(given, dict) else given


def _translated(request: Json, body: Json, media: Media) -> Translated:
    fields = Fields(request)
    settings = {name: value for name, value in request.items() if name not in _OWN}
    told = Told(
        prompt=body["prompt"],
        settings={n: value for n, value in settings.items() if n not in _NOT_SETTINGS},
        tokens=bool(fields.take("return_tokens", bool)),
        probabilities=(fields.take("n_probs", int) or 0) > 0,
        after=bool(fields.take("post_sampling_probs", bool)),
        wanted=fields.texts("response_fields"),
        media=media,
    )
    streams = bool(fields.take("stream", bool))
    settings |= {"verbose": True, "return_tokens": told.tokens or streams}
    if streams:
        settings["stream_options"] = {"include_usage": True}
    answer: Answer = told.answer
    return Translated(COMPLETIONS, settings | body, ToldStream(told) if streams else None, answer)


_TEXT = record({"content": STRING, "stop": BOOLEAN})
_ANSWERS = {JSON: {"anyOf": [{"type": "object"}, array(_TEXT)]}, EVENTS: guest_api.STREAM}
_PROMPT = record({"prompt_string": STRING}, multimodal_data=nullable(array(STRING)))
_SETTINGS = {"return_tokens": nullable(BOOLEAN), "response_fields": nullable(array(STRING))}
_ERRORS = (404, *GUEST)
_COMPLETION = operation(
    "llama.cpp's completion of one prompt or more; the other fields are those of /v1/completions",
    tag="llama.cpp",
    body=record({"prompt": {"anyOf": [guest_api.PROMPTS, _PROMPT]}}, **_SETTINGS),
    answers=_ANSWERS,
    errors=_ERRORS,
)
DESCRIBED: Described = {
    ("/completion", "POST"): _COMPLETION,
    ("/completions", "POST"): _COMPLETION,
    ("/infill", "POST"): operation(
        "llama.cpp's filling in of a gap; the other fields are those of /v1/completions",
        tag="llama.cpp",
        body=record(
            {"input_prefix": STRING, "input_suffix": {"type": "string", "minLength": 1}},
            **_SETTINGS,
        ),
        answers=_ANSWERS,
        errors=_ERRORS,
    ),
}
