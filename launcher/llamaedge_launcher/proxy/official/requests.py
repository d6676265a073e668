"""Requests as LlamaEdge's own servers take them, and what of them the front must do itself.

They end when a field has a type that they do not know, and some of their fields do nothing.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ApiError

_LARGEST = 2**31 - 1  # of what they keep in 32 bits
_LIMITS = ("max_completion_tokens", "max_tokens")
_ROLES = ("system", "user", "assistant", "tool")
_SAME_ROLE = {"developer": "system"}


@dataclass(frozen=True)
class Asked:
    """A request: its ``body`` for the guest, and what the answer must be.

    ``limit`` is the most tokens, ``stop`` are the texts before which it ends. ``streams`` says
    that it is a stream, ``usage`` that the stream ends with the counts.
    """

    body: bytes
    limit: int | None = None
    stop: tuple[str, ...] = ()
    streams: bool = False
    usage: bool = False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= _LARGEST


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


_Check = tuple[Callable[[Any], bool], str]
_TEXT: _Check = (lambda value: isinstance(value, str), "text")
_NUMBER: _Check = (_is_number, "a number")
_WHOLE: _Check = (_is_whole, f"a whole number from -1 to {_LARGEST}")
_SWITCH: _Check = (lambda value: isinstance(value, bool), "true or false")
_OBJECT: _Check = (lambda value: isinstance(value, dict), "an object")
_OBJECTS: _Check = (_is_objects, "a list of objects")
_TEXTS: _Check = (lambda value: isinstance(value, str) or _is_texts(value), "text or a list of it")
_FIELDS: dict[str, _Check] = {
    "model": _TEXT,
    "user": _TEXT,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "presence_penalty": _NUMBER,
    "frequency_penalty": _NUMBER,
    "n": _WHOLE,
    "max_tokens": _WHOLE,
    "max_completion_tokens": _WHOLE,
    "stream": _SWITCH,
    "stream_options": _OBJECT,
    "stop": _TEXTS,
    "messages": (lambda value: value != [] and _is_objects(value), "a list of messages"),
    "tools": _OBJECTS,
    "logit_bias": _OBJECT,
    "response_format": _OBJECT,
    "prompt": _TEXTS,
    "best_of": _WHOLE,
    "suffix": _TEXT,
    "echo": _SWITCH,
}
_TOOL_CHOICE: _Check = (
    lambda value: value in ("none", "auto", "required") or isinstance(value, dict),
    "none, auto, required or an object",
)

_UNDONE: dict[str, Callable[[Any], bool]] = {
    "n": lambda value: value > 1,
    "best_of": lambda value: value > 1,
    "logit_bias": bool,
    "logprobs": bool,
    "top_logprobs": bool,
    "response_format": lambda value: value.get("type", "text") != "text",
    "suffix": bool,
    "echo": bool,
    "truncation": lambda value: value != "auto",
}
"""What these servers take and do not do, and the values that ask for it."""


def read_chat(fields: Mapping[str, Any]) -> Asked:
    """A chat request. Raises ApiError."""
    known = _known(fields, _FIELDS | {"tool_choice": _TOOL_CHOICE})
    known["messages"] = [_message(at, each) for at, each in enumerate(known["messages"])]
    if known.get("tools"):
        known.setdefault("tool_choice", "auto")
    return _asked(known)


def read_completion(fields: Mapping[str, Any]) -> Asked:
    """A request for a completion, which never streams. Raises ApiError."""
    known = _known(fields, _FIELDS)
    asked = _asked(known)
    prompts = [known["prompt"]] if isinstance(known["prompt"], str) else known["prompt"]
    if len(prompts) != 1:
        raise _invalid("prompt", "LlamaEdge's own server takes one at a time")
    body = {name: value for name, value in known.items() if not name.startswith("stream")}
    body["prompt"] = prompts
    return Asked(_encode(body), asked.limit, asked.stop, asked.streams, asked.usage)


def _known(fields: Mapping[str, Any], checks: Mapping[str, _Check]) -> dict[str, Any]:
    known = {name: value for name, value in fields.items() if value is not None}
    for name, value in known.items():
        check, kind = checks.get(name, (lambda _: True, ""))
        if not check(value):
            raise _invalid(name, f"it must be {kind}")
    for name in fields.keys() & {"messages", "prompt"}:
        if name not in known:
            raise _invalid(name, f"it must be {checks[name][1]}")
    for name, asks in _UNDONE.items():
        if name in known and asks(known[name]):
            raise _invalid(name, "LlamaEdge's own server does not do this; leave it out")
    return known


def _asked(known: dict[str, Any]) -> Asked:
    """``known`` with its limit by the name that every release knows.

    Old ones refuse a request with a field that they do not know, and new ones do not obey that
    name; the guest's host does, which is told beside.
    """
    limits = {name: known.pop(name) for name in _LIMITS if name in known}
    name, limit = next((pair for pair in limits.items() if pair[1] >= 0), ("", None))
    if limit == 0:
        raise _invalid(name, "it must be at least 1, or -1 for no limit")
    if limit is not None:
        known["max_tokens"] = limit
    stop = known.get("stop", [])
    stop = [each for each in ([stop] if isinstance(stop, str) else stop) if each]
    known["stop"] = stop
    streams = known.get("stream", False)
    usage = streams and known.get("stream_options", {}).get("include_usage") is True
    if "stream_options" in known:
        known["stream_options"] = {"include_usage": usage}
    return Asked(_encode(known), limit, tuple(stop), streams, usage)


def _message(at: int, message: Mapping[str, Any]) -> dict[str, Any]:
    where = f"messages[{at}]"
    role = message.get("role")
    role = _SAME_ROLE.get(role, role) if isinstance(role, str) else role
    if role not in _ROLES:
        raise _invalid(f"{where}.role", f"it must be one of {', '.join(_ROLES)}")
    known = {name: value for name, value in message.items() if value is not None}
    content = _content(known.get("content"), f"{where}.content", parts=role == "user")
    if content is None and role != "assistant":
        raise _invalid(f"{where}.content", "it is missing")
    if not _is_objects(known.get("tool_calls", [])):
        raise _invalid(f"{where}.tool_calls", "it must be a list of objects")
    for name in ("name", "tool_call_id"):
        if not isinstance(known.get(name, ""), str):
            raise _invalid(f"{where}.{name}", "it must be text")
    if role == "tool" and "tool_call_id" not in known:
        raise _invalid(f"{where}.tool_call_id", "it is missing")
    return {**known, "role": role} | ({} if content is None else {"content": content})


def _content(content: object, where: str, *, parts: bool) -> object:
    """Text instead of a list of texts: only users' messages may be lists."""
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise _invalid(where, "it must be text or a list of parts")
    texts: list[str] = []
    for at, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif not (parts and _is_media(kind, part)):
            raise _invalid(f"{where}[{at}]", "it is no text, nor a picture or audio of a user")
    return "".join(texts) if len(texts) == len(content) else content


def _is_media(kind: object, part: Any) -> bool:
    held = part.get(kind) if isinstance(kind, str) else None
    names = {"image_url": ("url",), "input_audio": ("data", "format")}.get(str(kind), ())
    return isinstance(held, dict) and bool(names) and all(_is_text(held, each) for each in names)


def _is_text(held: Mapping[str, Any], name: str) -> bool:
    return isinstance(held.get(name), str)


def _encode(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode(errors="replace")


def _invalid(field: str, message: str) -> ApiError:
    return ApiError(400, f"{field}: {message}", code="invalid_value", param=field)
