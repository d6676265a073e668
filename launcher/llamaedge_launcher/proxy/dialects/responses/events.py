"""A response as it comes: the events of its stream."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from ..bridge import Json
from . import output
from .request import Wanted

Ended = Callable[[Json], None]


class Events:
    """Turns a chat's chunks into events; ``on_end`` is told the whole response."""

    media_type = "text/event-stream"

    def __init__(self, wanted: Wanted, on_end: Ended) -> None:
        self._wanted = wanted
        self._on_end = on_end
        self._response = output.begun(wanted, wanted.chat.get("model", ""))
        self._begun = False
        self._number = 0
        self._done: list[Json] = []
        self._item: _Item | None = None
        self._reason: str | None = None
        self._usage: Json | None = None
        self._timings: Json = {}

    def chunk(self, chunk: Json) -> bytes:
        """As Stream's."""
        if not self._begun and chunk.get("model"):
            self._response["model"] = chunk["model"]
        events = [*self._begin()]
        if usage := chunk.get("usage"):
            self._usage = usage
        telling = self._wanted.chat.get("timings_per_token") and chunk.get("timings")
        self._timings = {"timings": chunk["timings"]} if telling else {}
        if progress := chunk.get("prompt_progress"):
            told = {"response": self._response, "prompt_progress": progress, **self._timings}
            events.append({"type": "response.in_progress", **told})
        for choice in chunk["choices"]:
            for event in self._delta(choice.get("delta") or {}, choice.get("logprobs")):
                events.append(event | self._timings)
            self._reason = choice.get("finish_reason") or self._reason
        return self._told(events)

    def silence(self) -> bytes:
        """As Stream's."""
        return b": waiting\n\n"

    def end(self) -> bytes:
        """As Stream's."""
        events = [*self._begin()]
        if self._item is None and not self._done:
            events += self._open("message", _Message, "")
        events += self._close()
        whole = output.ended(self._response, self._done, self._reason, self._usage)
        self._on_end(whole)
        ended = {"type": f"response.{whole['status']}", "response": whole}
        return self._told([*events, ended | self._timings])

    def fail(self, status: int, error: Json) -> bytes:
        """As Stream's."""
        whole = output.failed({**self._response, "output": self._done}, error["message"])
        return self._told([*self._begin(), {"type": "response.failed", "response": whole}])

    def _begin(self) -> Iterator[Json]:
        if not self._begun:
            self._begun = True
            for kind in ("created", "in_progress"):
                yield {"type": f"response.{kind}", "response": self._response}

    def _delta(self, delta: Json, logprobs: Json | None) -> Iterator[Json]:
        if thought := delta.get("reasoning_content"):
            kind = _Summary if self._wanted.summary else _Reasoning
            yield from self._open("reasoning", kind, self._wanted)
            yield from self._add(thought)
        if text := delta.get("content"):
            seen = (logprobs or {}).get("content") or []
            yield from self._open("message", _Message, "")
            yield from self._add(text, seen if self._wanted.logprobs else [])
        for asked in delta.get("tool_calls") or ():
            function = asked.get("function") or {}
            if asked.get("id"):
                yield from self._open(f"call {asked['index']}", _Call, asked)
            if arguments := function.get("arguments"):
                yield from self._add(arguments)

    def _open(self, name: str, kind: "type[_Item]", given: Any) -> Iterator[Json]:
        """The beginning of an item, unless the one that is open is the same."""
        if self._item is not None and self._item.name == name:
            return
        yield from self._close()
        self._item = kind(name, len(self._done), given)
        item = self._item.item("in_progress")
        added = {"output_index": self._item.index, "item": item}
        yield {"type": "response.output_item.added", **added}
        yield from self._item.begin()

    def _add(self, text: str, logprobs: list[Any] | None = None) -> Iterator[Json]:
        assert self._item is not None
        self._item.text += text
        self._item.logprobs += logprobs or []
        yield self._item.delta(text, logprobs or [])

    def _close(self) -> Iterator[Json]:
        if self._item is None:
            return
        yield from self._item.end()
        item = self._item.item("completed")
        self._done.append(item)
        yield {"type": "response.output_item.done", "output_index": self._item.index, "item": item}
        self._item = None

    def _told(self, events: list[Json]) -> bytes:
        parts = []
        for each in events:
            numbered = {**each, "sequence_number": self._number}
            self._number += 1
            parts.append(f"event: {each['type']}\ndata: {json.dumps(numbered)}\n\n")
        return "".join(parts).encode()


class _Item:
    """An item of the output that is being made."""

    def __init__(self, name: str, index: int, given: Any) -> None:
        self.name = name
        self.index = index
        self.text = ""
        self.logprobs: list[Any] = []
        self._given = given
        self._id = output.new_id(self.prefix)

    prefix = ""
    part = ""

    def item(self, status: str) -> Json:
        """The item as it is; nothing of its content while it is in progress."""
        raise NotImplementedError

    def begin(self) -> Iterator[Json]:
        """The events of its beginning, after its own."""
        yield self._event("content_part.added", part=self._part(""))

    def delta(self, text: str, logprobs: list[Any]) -> Json:
        """The event for more of its text."""
        return self._event(f"{self.part}.delta", delta=text)

    def end(self) -> Iterator[Json]:
        """The events of its end, before its own."""
        yield self._event(f"{self.part}.done", text=self.text)
        yield self._event("content_part.done", part=self._part(self.text))

    def _part(self, text: str) -> Json:
        return {"type": self.part, "text": text}

    def _event(self, kind: str, **more: Any) -> Json:
        place = {"item_id": self._id, "output_index": self.index, "content_index": 0}
        return {"type": f"response.{kind}", **place, **more}


class _Message(_Item):
    prefix = "msg"
    part = "output_text"

    def item(self, status: str) -> Json:
        text = None if status == "in_progress" else self.text
        return output.message(self._id, text, self.logprobs, status)

    def delta(self, text: str, logprobs: list[Any]) -> Json:
        return self._event("output_text.delta", delta=text, logprobs=logprobs)

    def end(self) -> Iterator[Json]:
        yield self._event("output_text.done", text=self.text, logprobs=self.logprobs)
        yield self._event("content_part.done", part=self._part(self.text))

    def _part(self, text: str) -> Json:
        return output.text_part(text, self.logprobs)


class _Reasoning(_Item):
    prefix = "rs"
    part = "reasoning_text"

    def item(self, status: str) -> Json:
        return output.reasoning(self._id, self.text, self._given, status)


class _Summary(_Item):
    prefix = "rs"
    part = "reasoning_summary_text"

    def item(self, status: str) -> Json:
        return output.reasoning(self._id, self.text, self._given, status)

    def begin(self) -> Iterator[Json]:
        yield self._event("reasoning_summary_part.added", part=self._part(""))

    def end(self) -> Iterator[Json]:
        yield self._event(f"{self.part}.done", text=self.text)
        yield self._event("reasoning_summary_part.done", part=self._part(self.text))

    def _part(self, text: str) -> Json:
        return {"type": "summary_text", "text": text}

    def _event(self, kind: str, **more: Any) -> Json:
        place = {"item_id": self._id, "output_index": self.index, "summary_index": 0}
        return {"type": f"response.{kind}", **place, **more}


class _Call(_Item):
    prefix = "fc"
    part = "function_call_arguments"

    def item(self, status: str) -> Json:
        function = {**self._given["function"], "arguments": self.text}
        return output.call(self._id, {**self._given, "function": function}, status)

    def begin(self) -> Iterator[Json]:
        yield from ()

    def end(self) -> Iterator[Json]:
        yield self._event(
            f"{self.part}.done", arguments=self.text, name=self._given["function"]["name"]
        )

    def _event(self, kind: str, **more: Any) -> Json:
        place = {"item_id": self._id, "output_index": self.index}
        return {"type": f"response.{kind}", **place, **more}
