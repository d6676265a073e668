"""A conversation as a guest hands it over, and as templates are written to take it.

Source: OpenAI's chat messages; transformers' apply_chat_template for what a template is given.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ...nn.errno import NnErrno
from ..errors import GgmlError

ROLE = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""A role becomes part of a control token in many templates, so it cannot be any text."""
_ROLES = {"developer": "system", "function": "tool"}
"""What a role is called by a template that does not know it."""
_REASONING = ("reasoning_content", "thinking", "reasoning")
_SHORT_ID = 9
"""Characters of a call's id where a template insists on them."""


@dataclass(frozen=True)
class Traits:
    """How a template takes a conversation, found by trying it.

    ``tools``: it writes tools. ``system``: it takes a system's turn. ``typed``: a content is a
    list of parts and no text. ``text_arguments``: a call's arguments are JSON text, no object.
    ``short_ids``: calls have ids of nine letters and digits. ``roles``: those of OpenAI's that it
    knows by their names.
    """

    tools: bool = False
    system: bool = False
    typed: bool = False
    text_arguments: bool = False
    short_ids: bool = False
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Conversation:
    """What a prompt is made of: OpenAI's messages and tools, and a template's own settings."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, document: object) -> "Conversation":
        """Read a JSON object. Raises GgmlError (INVALID_ARGUMENT) naming what is wrong."""
        if not isinstance(document, dict):
            _refuse("it is not a JSON object")
        messages = _rows(document, "messages")
        if not messages:
            _refuse("messages is empty")
        for index, message in enumerate(messages):
            role = message.get("role")
            if not isinstance(role, str) or not ROLE.fullmatch(role):
                _refuse(f"the role of messages[{index}] is {role!r:.60}")
        keywords = document.get("chat_template_kwargs") or {}
        if not isinstance(keywords, dict):
            _refuse("chat_template_kwargs is not an object")
        if taken := _GIVEN & keywords.keys():
            _refuse(f"chat_template_kwargs sets {', '.join(sorted(taken))}")
        go_on = document.get("continue_final_message", False)
        add = document.get("add_generation_prompt", not go_on)
        if go_on and (add or messages[-1]["role"] != "assistant"):
            _refuse(
                "continue_final_message needs an assistant's message at the end, and"
                " add_generation_prompt false"
            )
        return cls(
            messages,
            tools=_rows(document, "tools"),
            documents=_rows(document, "documents"),
            add_generation_prompt=bool(add),
            continue_final_message=bool(go_on),
            keywords=keywords,
        )

    def values(self, traits: Traits) -> dict[str, Any]:
        """What a template with ``traits`` is rendered with.

        Raises GgmlError (INVALID_ARGUMENT) for a call whose arguments are no JSON object.
        """
        return {
            **self.keywords,
            "messages": [_message(each, traits) for each in self.messages],
            "tools": [_tool(each) for each in self.tools] or None,
            "documents": self.documents or None,
            "add_generation_prompt": self.add_generation_prompt,
        }


_GIVEN = frozenset(("messages", "tools", "documents", "add_generation_prompt"))


def _rows(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rows = document.get(name) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        _refuse(f"{name} is not a list of objects")
    return rows


def _message(message: dict[str, Any], traits: Traits) -> dict[str, Any]:
    made = {name: value for name, value in message.items() if value is not None}
    if made["role"] not in traits.roles:
        made["role"] = _ROLES.get(made["role"], made["role"])
    made["content"] = _content(message.get("content"), typed=traits.typed)
    if (reasoning := next((made[name] for name in _REASONING if made.get(name)), None)) is not None:
        made |= {"reasoning_content": reasoning, "thinking": reasoning}
    if calls := made.pop("tool_calls", None):
        made["tool_calls"] = [checked(each, traits) for each in calls]
    if traits.short_ids and "tool_call_id" in made:
        made["tool_call_id"] = _short(made["tool_call_id"])
    return made


def _content(content: Any, *, typed: bool) -> Any:
    parts = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    if not all(isinstance(part, dict) and isinstance(part.get("text", ""), str) for part in parts):
        _refuse("a part of a content is no object, or its text is none")
    if typed:
        return parts
    if not isinstance(content, list):
        return content or ""
    if any(part.get("type") != "text" for part in parts):
        return parts  # the template says what it makes of them
    return "\n".join(part.get("text", "") for part in parts)


def checked(call: Any, traits: Traits) -> dict[str, Any]:
    """A call of a tool as a template with ``traits`` takes it.

    Raises GgmlError (INVALID_ARGUMENT) for one without a name, or whose arguments are no object.
    """
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        _refuse("a tool call has no function with a name")
    arguments = function.get("arguments")
    if isinstance(arguments, str) or arguments is None:
        arguments = _object(arguments or "{}", function["name"])
    if not isinstance(arguments, dict):
        _refuse(f"the arguments of the call of {function['name']!r:.60} are no JSON object")
    if traits.text_arguments:
        arguments = json.dumps(arguments, ensure_ascii=False)
    made = {**call, "type": "function", "function": {**function, "arguments": arguments}}
    if traits.short_ids:
        made["id"] = _short(made.get("id", ""))
    return made


def _object(text: str, name: str) -> Any:
    try:
        return json.loads(text.strip() or "{}")
    except (ValueError, RecursionError):
        _refuse(f"the arguments of the call of {name!r:.60} are not JSON")


def _short(identifier: object) -> str:
    text = str(identifier)
    if len(text) == _SHORT_ID and text.isalnum():
        return text
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_SHORT_ID]


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return tool if "function" in tool else {"type": "function", "function": tool}


def _refuse(why: str) -> NoReturn:
    raise GgmlError(NnErrno.INVALID_ARGUMENT, f"the conversation cannot be used: {why}")
