"""llama.cpp's own API, what computes: https://github.com/ggml-org/llama.cpp, tools/server.

What a request asks of the model is the guest's to judge: its fields go on as they are.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from .. import guest_api
from ..describe import (
    BOOLEAN,
    EVENTS,
    GUEST,
    JSON,
    NUMBER,
    STRING,
    Described,
    array,
    nullable,
    operation,
    record,
)
from .bridge import COMPLETIONS, EMBEDDINGS, Answer, Json, Translated
from .fields import Fields, wrong

_OWN = ("prompt", "return_tokens", "response_fields", "input_prefix", "input_suffix", "input_extra")


class Renamed:
    """An application at another ``path`` than its own."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        target = {"path": self._path, "raw_path": self._path.encode()}
        await self._app({**scope, **target}, receive, send)


class Completion:
    """POST /completion."""

    async def read(self, request: Json) -> Translated:
        """As a completion."""
        prompt = _prompt(Fields(request).need("prompt", str, list, dict))
        return _translated(request, {"prompt": prompt})

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
        return _translated(request, {"prompt": fields.need("input_prefix", str), "suffix": suffix})


class Embedding(Completion):
    """POST /embedding."""

    async def read(self, request: Json) -> Translated:
        """As embeddings."""
        fields = Fields(request)
        text = fields.take("content", str, list)
        if text is None:
            text = fields.need("input", str, list)
        body = {"input": text}
        if (model := fields.take("model", str)) is not None:
            body["model"] = model

        def answer(found: Json) -> Any:
            return [
                {"index": each["index"], "embedding": [each["embedding"]]} for each in found["data"]
            ]

        return Translated(EMBEDDINGS, body, None, answer)


def _prompt(given: Any) -> Any:
    """The prompt as /v1/completions takes it: an object is the text that it has."""
    if isinstance(given, list):
        return [_prompt(each) if isinstance(each, dict) else each for each in given]
    if isinstance(given, dict):
        fields = Fields(given, "prompt")
        fields.refuse({"multimodal_data": "pictures go to /v1/chat/completions"})
        return fields.need("prompt_string", str)
    return given


def _translated(request: Json, body: Json) -> Translated:
    fields = Fields(request)
    settings = {name: value for name, value in request.items() if name not in _OWN}
    told = _Told(
        prompt=body["prompt"],
        settings={name: value for name, value in settings.items() if name != "stream"},
        tokens=bool(fields.take("return_tokens", bool)),
        probabilities=(fields.take("n_probs", int) or 0) > 0,
        after=bool(fields.take("post_sampling_probs", bool)),
        wanted=fields.texts("response_fields"),
    )
    if told.tokens and not told.probabilities:
        settings["n_probs"] = 1
    streams = fields.take("stream", bool)
    if streams:
        settings["stream_options"] = {"include_usage": True}
    answer: Answer = told.answer
    return Translated(COMPLETIONS, settings | body, _Stream(told) if streams else None, answer)


class _Told:
    """How an answer is told."""

    def __init__(
        self,
        *,
        prompt: Any,
        settings: Json,
        tokens: bool,
        probabilities: bool,
        after: bool,
        wanted: list[str] | None,
    ) -> None:
        self.prompt = prompt
        self.settings = settings
        self.tokens = tokens
        self.probabilities = probabilities
        self._after = after
        self._wanted = wanted

    def answer(self, found: Json) -> Any:
        """The whole answer; a list of several prompts' or choices'."""
        alone = len(found["choices"]) == 1
        made = [
            self._picked(self.whole(each, each["text"], found, alone=alone) | self.told(each))
            for each in found["choices"]
        ]
        return made[0] if len(made) == 1 else made

    def whole(self, choice: Json, text: str, found: Json, *, alone: bool) -> Json:
        """What ends an answer: ``choice`` has the reason, ``found`` the counts of all."""
        counts: Json = {}
        if alone:
            counts["tokens_evaluated"] = found["usage"]["prompt_tokens"]
            counts["tokens_predicted"] = found["usage"]["completion_tokens"]
            if timings := found.get("timings"):
                counts["timings"] = timings
        limited = choice["finish_reason"] == "length"
        ended = {"stop_type": "limit" if limited else "eos"}
        if not limited and self.settings.get("stop"):
            ended = {}  # an end or one of the stops: nothing tells which
        return {
            "index": choice["index"],
            "content": text,
            "tokens": [],
            "stop": True,
            "model": found["model"],
            "prompt": self.prompt,
            "generation_settings": self.settings,
            "has_new_line": "\n" in text,
            "truncated": False,
            **ended,
            **counts,
        }

    def told(self, choice: Json) -> Json:
        """What a choice tells of its tokens."""
        rows = (choice.get("logprobs") or {}).get("content") or []
        told: Json = {"tokens": [row["id"] for row in rows]} if self.tokens else {}
        if self.probabilities:
            told["completion_probabilities"] = [self._probability(row) for row in rows]
        return told

    def _probability(self, row: Json) -> Json:
        if not self._after:
            return row
        others = [_linear(each) for each in row["top_logprobs"]]
        return _linear(row) | {"top_probs": others}

    def _picked(self, answer: Json) -> Json:
        if not self._wanted:
            return answer
        found = {name: _at(answer, name.split("/")) for name in self._wanted}
        return {name: value for name, value in found.items() if value is not None}


def _linear(row: Json) -> Json:
    kept = {name: row[name] for name in ("id", "token", "bytes")}
    return {**kept, "prob": math.exp(row["logprob"])}


def _at(value: Any, path: list[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


class _Stream:
    """Writes llama.cpp's chunks, which have no [DONE] behind them."""

    media_type = "text/event-stream"

    def __init__(self, told: _Told) -> None:
        self._told = told
        self._texts: dict[int, str] = {}
        self._ended: dict[int, Json] = {}

    def chunk(self, chunk: Json) -> bytes:
        """A piece of a text; with the counts, the ends of all."""
        if not chunk["choices"]:
            alone = len(self._ended) == 1
            ends = [
                self._told.whole(each, self._texts[index], chunk, alone=alone)
                for index, each in self._ended.items()
            ]
            return b"".join(_frame(end | {"content": ""}) for end in ends)
        choice = chunk["choices"][0]
        index, text = choice["index"], choice["text"]
        self._texts[index] = self._texts.get(index, "") + text
        if choice["finish_reason"]:
            self._ended[index] = choice
        if not text:
            return b""
        piece = {"index": index, "content": text, "tokens": [], "stop": False}
        return _frame(piece | self._told.told(choice))

    def silence(self) -> bytes:
        """A comment."""
        return b":\n\n"

    def end(self) -> bytes:
        """Nothing: the last chunk says so itself."""
        return b""

    def fail(self, status: int, error: Json) -> bytes:
        """An error in the place of a chunk."""
        return _frame({"error": error})


def _frame(value: Json) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


_TEXT = record({"content": STRING, "stop": BOOLEAN})
_ANSWERS = {JSON: {"anyOf": [{"type": "object"}, array(_TEXT)]}, EVENTS: guest_api.STREAM}
_SETTINGS = {"return_tokens": nullable(BOOLEAN), "response_fields": nullable(array(STRING))}
_ERRORS = (404, *GUEST)
_COMPLETION = operation(
    "llama.cpp's completion of one prompt or more; the other fields are those of /v1/completions",
    tag="llama.cpp",
    body=record(
        {"prompt": {"anyOf": [guest_api.PROMPTS, record({"prompt_string": STRING})]}}, **_SETTINGS
    ),
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
    ("/embedding", "POST"): operation(
        "llama.cpp's embeddings",
        tag="llama.cpp",
        body=record({"content": guest_api.INPUT}, model=nullable(STRING)),
        answers={JSON: array(record({"embedding": array(array(NUMBER))}))},
        errors=_ERRORS,
    ),
    ("/chat/completions", "POST"): operation(
        "The same as /v1/chat/completions",
        tag="llama.cpp",
        body=record({"messages": array({"type": "object"})}),
        answers={JSON: {"type": "object"}, EVENTS: guest_api.STREAM},
        errors=_ERRORS,
    ),
    ("/embeddings", "POST"): operation(
        "The same as /v1/embeddings",
        tag="llama.cpp",
        body=record({"input": guest_api.INPUT}),
        answers={JSON: {"type": "object"}},
        errors=_ERRORS,
    ),
}
