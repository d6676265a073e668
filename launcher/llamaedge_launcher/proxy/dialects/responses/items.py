"""The items of a response's input as the messages of a chat."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..bridge import Json
from ..fields import Fields, wrong
from .sealed import opened

_ROLES = ("user", "assistant", "system", "developer")
_TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")


def as_items(given: str | list[Any]) -> list[Json]:
    """A request's input as items; a text is what the user says. Raises ApiError."""
    if isinstance(given, str):
        return as_items([{"role": "user", "content": given}])
    for index, each in enumerate(given):
        Fields(each, f"input[{index}]")
    return [_whole(each) for each in given]


def _whole(item: Json) -> Json:
    """``item`` in its full form, where the short one of a message is allowed."""
    if item.get("type", "message") != "message" or not isinstance(item.get("content"), str):
        return item
    kind = "output_text" if item.get("role") == "assistant" else "input_text"
    part: Json = {"type": kind, "text": item["content"]}
    if kind == "output_text":
        part["annotations"] = []
    return {**item, "type": "message", "content": [part]}


def as_messages(items: Iterable[Json]) -> list[Json]:
    """The messages of a chat that ``items`` tell. Raises ApiError for what it cannot be told."""
    talk = _Talk()
    for index, each in enumerate(items):
        talk.add(Fields(each, f"input[{index}]"))
    talk.show()
    return talk.messages


def needed(fields: Fields, name: str, allowed: Iterable[str]) -> str:
    """The text of the field, which must be one of ``allowed``. Raises ApiError."""
    fields.need(name, str)
    return fields.one(name, allowed) or ""


class _Talk:
    """Messages; what the assistant thinks, says and calls in one go is one message."""

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self._open: Json | None = None
        self._seen: list[Json] = []
        """Pictures among the results of tools, which only a user's message can have."""

    def add(self, item: Fields) -> None:
        kind = item.one("type", _ADDED, otherwise="message")
        assert kind is not None
        if kind != _RESULT:
            self.show()
        _ADDED[kind](self, item)

    def show(self) -> None:
        """Show what tools have seen, after all of their results."""
        if self._seen:
            self._say({"role": "user", "content": self._seen})
            self._seen = []

    def message(self, item: Fields) -> None:
        role = needed(item, "role", _ROLES)
        content = item.need("content", str, list)
        if role != "assistant":
            self._say({"role": role, "content": _content(content, item.path("content"))})
            return
        text = _text(content, item.path("content"))
        said = self._assistant()
        said["content"] = (said["content"] or "") + text

    def reasoning(self, item: Fields) -> None:
        parts = item.take("content", list) or item.take("summary", list) or []
        said = self._assistant(new=True)
        said["reasoning_content"] = _text(parts, item.path("content")) or opened(
            item.take("encrypted_content", str) or ""
        )

    def call(self, item: Fields) -> None:
        function = {"name": item.need("name", str), "arguments": item.need("arguments", str)}
        call = {"id": item.need("call_id", str), "type": "function", "function": function}
        self._assistant().setdefault("tool_calls", []).append(call)

    def result(self, item: Fields) -> None:
        output = _content(item.need("output", str, list), item.path("output"))
        if not isinstance(output, str):
            self._seen += [each for each in output if each["type"] != "text"]
            output = "".join(each["text"] for each in output if each["type"] == "text")
        id_ = item.need("call_id", str)
        self._say({"role": "tool", "tool_call_id": id_, "content": output})

    def _say(self, message: Json) -> None:
        self._open = None
        self.messages.append(message)

    def _assistant(self, *, new: bool = False) -> Json:
        if self._open is None or new:
            self._open = {"role": "assistant", "content": None}
            self.messages.append(self._open)
        return self._open


_RESULT = "function_call_output"
_ADDED: Mapping[str, Callable[[_Talk, Fields], None]] = {
    "message": _Talk.message,
    "reasoning": _Talk.reasoning,
    "function_call": _Talk.call,
    _RESULT: _Talk.result,
}


def _content(content: str | list[Any], where: str) -> str | list[Json]:
    if isinstance(content, str):
        return content
    parts = [_part(Fields(each, f"{where}[{index}]")) for index, each in enumerate(content)]
    return parts[0]["text"] if [each["type"] for each in parts] == ["text"] else parts


def _part(part: Fields) -> Json:
    kind = needed(part, "type", (*_TEXTS, "input_image"))
    if kind != "input_image":
        return {"type": "text", "text": part.need("text", str)}
    if part.take("file_id", str):
        raise wrong(part.path("file_id"), "give the picture itself, as image_url")
    return {"type": "image_url", "image_url": {"url": part.need("image_url", str)}}


def _text(content: str | list[Any], where: str) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for index, each in enumerate(content):
        part = Fields(each, f"{where}[{index}]")
        kind = needed(part, "type", (*_TEXTS, "refusal"))
        texts.append(part.need("refusal" if kind == "refusal" else "text", str))
    return "".join(texts)
