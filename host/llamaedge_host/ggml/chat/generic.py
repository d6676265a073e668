"""Tools for templates that have none: told in words, called in JSON."""

import json
from dataclasses import replace
from typing import Any

from .conversation import Conversation, Traits, checked

_INTRODUCTION = (
    "You can call these functions:\n\n{}\n\nTo call one, answer with nothing but a JSON object of"
    ' its name and its arguments, as in {{"name": "function", "arguments": {{"parameter": 1}}}}.'
    " What it gives comes as the next message."
)


def without_tools(conversation: Conversation, *, system: bool) -> Conversation:
    """``conversation`` with its tools and their calls as texts.

    The tools are told in a ``system`` message, or where a template has none in the first user's.
    Raises GgmlError (INVALID_ARGUMENT) for a call that is none.
    """
    messages = [_message(each) for each in conversation.messages]
    if conversation.tools:
        functions = (tool.get("function", tool) for tool in conversation.tools)
        told = "\n".join(json.dumps(each, ensure_ascii=False) for each in functions)
        messages = _told(messages, _INTRODUCTION.format(told), "system" if system else "user")
    return replace(conversation, messages=messages, tools=[])


def _message(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] in ("tool", "function"):
        name = message.get("name") or "The function"
        return {"role": "user", "content": _text(f"{name} gave:\n", message.get("content"))}
    calls = message.get("tool_calls")
    if not calls:
        return message
    written = "\n".join(_call(each) for each in calls)
    rest = {name: value for name, value in message.items() if name != "tool_calls"}
    return {**rest, "content": _text("", message.get("content"), written)}


def _call(call: Any) -> str:
    function = checked(call, Traits())["function"]
    written = {"name": function["name"], "arguments": function["arguments"]}
    return json.dumps(written, ensure_ascii=False)


def _text(before: str, content: Any, after: str = "") -> Any:
    """``content``, a text or parts, between two texts."""
    if not isinstance(content, list):
        said = content or ""
        return before + said + ("\n" if said and after else "") + after
    first = [{"type": "text", "text": before}] if before else []
    return [*first, *content, *([{"type": "text", "text": after}] if after else [])]


def _told(messages: list[dict[str, Any]], text: str, role: str) -> list[dict[str, Any]]:
    at = next((index for index, each in enumerate(messages) if each["role"] == role), None)
    if at is None:
        return [{"role": role, "content": text}, *messages]
    told = {**messages[at], "content": _text(f"{text}\n\n", messages[at].get("content"))}
    if role == "system":
        told["content"] = _text("", messages[at].get("content"), f"\n{text}")
    return [*messages[:at], told, *messages[at + 1 :]]
