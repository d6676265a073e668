"""What a client of Anthropic's asks, as a chat completion."""

import json
from collections.abc import Iterator
from typing import Any

from ..bridge import Json
from ..fields import Fields, wrong

_OBEYED = (
    "model", "max_tokens", "messages", "system", "stream", "temperature", "top_p", "top_k",
    "stop_sequences", "tools", "tool_choice", "thinking", "output_config", "cache_control",
    "metadata", "service_tier", "inference_geo",
)  # fmt: skip
"""The last four ask for nothing that a client could see here."""

_REFUSED = {
    "prefill": "begin the answer with a last message of the assistant's",
    "container": "there are no containers",
    "mcp_servers": "the server asks no other",
    "diagnostics": "there are none",
    "speed": "there is one speed",
    "user_profile_id": "nothing is kept of who asks",
    "workspace_id": "there are no workspaces",
}
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def conversation(request: Json) -> tuple[Fields, Json, list[str]]:
    """The fields of ``request``, what of them says what the model reads and how it answers.

    The last are the names of those that do nothing. Raises ApiError for one that is refused.
    """
    fields = Fields(request)
    fields.refuse(_REFUSED)
    return fields, _conversation(fields), fields.others((*_OBEYED, *_REFUSED))


def positive(fields: Fields, name: str) -> int:
    """A number from 1 up, which must be there."""
    number: int = fields.need(name, int)
    if number < 1:
        raise wrong(fields.path(name), f"{number} is not a number from 1 up")
    return number


def _conversation(fields: Fields) -> Json:
    """What the model reads, and how it is to answer."""
    messages: list[Json] = []
    system = fields.take("system", str, list)
    if system:
        messages.append({"role": "system", "content": _text(system, "system")})
    for index, each in enumerate(fields.need("messages", list)):
        messages += _messages(Fields(each, f"messages[{index}]"))
    body: Json = {"messages": messages}
    if tools := fields.objects("tools"):
        body["tools"] = [_tool(each) for each in tools]
    if (choice := fields.take("tool_choice", dict)) is not None:
        body |= _choice(Fields(choice, "tool_choice"))
    if (thinking := fields.take("thinking", dict)) is not None:
        body |= _thinking(Fields(thinking, "thinking"))
    if (output := fields.take("output_config", dict)) is not None:
        body |= _output(Fields(output, "output_config"))
    return body


def _tool(fields: Fields) -> Json:
    kind = fields.take("type", str)
    if kind not in (None, "custom"):
        raise wrong(
            fields.path("type"),
            f"{kind!r} is a tool of Anthropic's own; only custom ones are taken",
        )
    function = {
        "name": fields.need("name", str),
        "description": fields.take("description", str) or "",
        "parameters": fields.need("input_schema", dict),
    }
    return {"type": "function", "function": function}


def _choice(fields: Fields) -> Json:
    fields.need("type", str)
    kind = fields.one("type", (*_CHOICES, "tool"))
    found: Json = {}
    if kind == "tool":
        function = {"name": fields.need("name", str)}
        found["tool_choice"] = {"type": "function", "function": function}
    else:
        found["tool_choice"] = _CHOICES[str(kind)]
    if fields.take("disable_parallel_tool_use", bool):
        found["parallel_tool_calls"] = False
    return found


def _thinking(fields: Fields) -> Json:
    fields.need("type", str)
    kind = fields.one("type", ("enabled", "disabled", "adaptive"))
    if kind == "disabled":
        return {"reasoning_effort": "none"}
    if kind == "adaptive":
        return {}
    budget = positive(fields, "budget_tokens")
    return {"chat_template_kwargs": {"enable_thinking": True}, "reasoning_budget": budget}


def _output(fields: Fields) -> Json:
    found: Json = {}
    if effort := fields.one("effort", _EFFORTS):
        found["reasoning_effort"] = _EFFORTS[effort]
    if (wanted := fields.take("format", dict)) is not None:
        layout = Fields(wanted, fields.path("format"))
        layout.one("type", ("json_schema",))
        schema = {"name": "answer", "schema": layout.need("schema", dict)}
        found["response_format"] = {"type": "json_schema", "json_schema": schema}
    return found


def _messages(fields: Fields) -> Iterator[Json]:
    """A message as one or more of OpenAI's: results of tools are messages of their own."""
    fields.need("role", str)
    role = fields.one("role", ("user", "assistant", "system"))
    content = fields.need("content", str, list)
    where = fields.path("content")
    if isinstance(content, str):
        yield {"role": role, "content": content}
        return
    blocks = [Fields(each, f"{where}[{index}]") for index, each in enumerate(content)]
    if role == "assistant":
        yield _assistant(blocks)
        return
    seen: list[Json] = []
    parts: list[Json] = []
    for block in blocks:
        if block.take("type", str) == "tool_result":
            result, pictures = _result(block)
            yield result
            seen += pictures
        else:
            parts.append(_part(block))
    if seen or parts:
        yield {"role": role, "content": [*seen, *parts]}


def _assistant(blocks: list[Fields]) -> Json:
    texts, thoughts, calls = [], [], []
    for block in blocks:
        kind = block.one("type", ("text", "thinking", "redacted_thinking", "tool_use"))
        if kind == "text":
            texts.append(block.need("text", str))
        elif kind == "thinking":
            thoughts.append(block.need("thinking", str))
        elif kind == "tool_use":
            calls.append(_call(block))
    said: Json = {"role": "assistant", "content": "".join(texts)}
    if thoughts:
        said["reasoning_content"] = "".join(thoughts)
    if calls:
        said["tool_calls"] = calls
    return said


def _call(block: Fields) -> Json:
    arguments = json.dumps(block.need("input", dict))
    function = {"name": block.need("name", str), "arguments": arguments}
    return {"id": block.need("id", str), "type": "function", "function": function}


def _result(block: Fields) -> tuple[Json, list[Json]]:
    """A tool's result as a message, and its pictures, which only a user's message can have."""
    content, where = block.take("content", str, list) or "", block.path("content")
    pictures: list[Json] = []
    if isinstance(content, list):
        parts = [_part(Fields(each, f"{where}[{index}]")) for index, each in enumerate(content)]
        pictures = [each for each in parts if each["type"] != "text"]
        content = "\n".join(each["text"] for each in parts if each["type"] == "text")
    text = f"Error: {content}" if block.take("is_error", bool) else content
    message = {"role": "tool", "tool_call_id": block.need("tool_use_id", str), "content": text}
    return message, pictures


def _part(block: Fields) -> Json:
    kind = block.one("type", ("text", "image", "document", "tool_result"), otherwise="text")
    if kind == "text":
        return {"type": "text", "text": block.need("text", str)}
    source = Fields(block.need("source", dict), block.path("source"))
    if kind == "document":
        source.one("type", ("text",))
        return {"type": "text", "text": source.need("data", str)}
    if source.one("type", ("base64", "url")) == "url":
        return {"type": "image_url", "image_url": {"url": source.need("url", str)}}
    media, data = source.need("media_type", str), source.need("data", str)
    return {"type": "image_url", "image_url": {"url": f"data:{media};base64,{data}"}}


def _text(content: str | list[Any], where: str) -> str:
    """A text, or blocks of text."""
    if isinstance(content, str):
        return content
    texts = []
    for index, each in enumerate(content):
        block = Fields(each, f"{where}[{index}]")
        block.one("type", ("text",))
        texts.append(block.need("text", str))
    return "\n".join(texts)
