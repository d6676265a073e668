"""How an answer of /completion is told, whole and streamed."""

import json
import math
from collections.abc import Mapping
from typing import Any

from ..bridge import Json
from .media import Media

_BESIDE = ("timings", "prompt_progress")


class Told:
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
        media: Media,
    ) -> None:
        self.prompt = prompt
        self.settings = settings
        self.tokens = tokens
        self.probabilities = probabilities
        self._after = after
        self._wanted = wanted
        self._media = media

    def answer(self, found: Json) -> Any:
        """The whole answer; a list of several prompts' or choices'."""
        alone = len(found["choices"]) == 1
        made = []
        for choice in found["choices"]:
            verbose = self.verbose(choice) or self.verbose(found)
            whole = verbose or self.whole(choice, choice["text"], found, alone=alone)
            made.append(self._picked(whole | self.told(choice)))
        return made[0] if len(made) == 1 else made

    def verbose(self, found: Json) -> Json | None:
        """What a guest tells of an answer by itself, None if it does not."""
        told: Json | None = found.get("__verbose")
        if told and isinstance(prompt := told.get("prompt"), str):
            return told | {"prompt": self._media.marked(prompt)}
        return told

    def whole(self, choice: Json, text: str, found: Json, *, alone: bool) -> Json:
        """What ends an answer of a guest that does not tell it.

        ``choice`` has the reason, ``found`` the counts of all.
        """
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
            "prompt": self._marked(self.prompt),
            "generation_settings": self.settings,
            "has_new_line": "\n" in text,
            "truncated": False,
            **ended,
            **counts,
        }

    def _marked(self, prompt: Any) -> Any:
        if isinstance(prompt, list):
            return [self._marked(each) for each in prompt]
        return self._media.marked(prompt) if isinstance(prompt, str) else prompt

    def told(self, choice: Json) -> Json:
        """What a choice tells of its tokens."""
        if not self.probabilities:
            return {}
        rows = (choice.get("logprobs") or {}).get("content") or []
        return {"completion_probabilities": [self._probability(row) for row in rows]}

    def piece(self, chunk: Json, choice: Json) -> Json:
        """A part of a stream."""
        piece = {
            "index": choice["index"],
            "content": choice["text"],
            "tokens": choice.get("tokens", []),
            "stop": False,
        }
        kept = {name: chunk[name] for name in _BESIDE if name in chunk}
        return piece | self.told(choice) | kept

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


class ToldStream:
    """Writes llama.cpp's chunks, which have no [DONE] behind them."""

    media_type = "text/event-stream"

    def __init__(self, told: Told) -> None:
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
        verbose = self._told.verbose(chunk)
        if choice["finish_reason"] and not verbose:
            self._ended[index] = choice
        if text or "prompt_progress" in chunk:
            return _frame(self._told.piece(chunk, choice))
        return _frame(verbose | {"content": "", "tokens": []}) if verbose else b""

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
