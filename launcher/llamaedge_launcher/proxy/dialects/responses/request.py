"""A request for a response as one for a chat completion."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import ApiError
from ..bridge import Json
from ..fields import Fields, wrong
from .items import as_items, needed

_MEANINGLESS = (
    "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "prompt_cache_options", "service_tier", "stream_options", "max_tool_calls",
)  # fmt: skip
"""They ask for nothing that a client could see here; there are no tools of the server's own."""
_TELLING = ("timings_per_token", "return_progress")
"""llama.cpp's: what a stream tells beside the answer."""
_KNOWN = (
    "model", "input", "instructions", "stream", "store", "previous_response_id", "metadata",
    "include", "temperature", "top_p", "top_logprobs", "max_output_tokens", "tools", "tool_choice",
    "parallel_tool_calls", "text", "reasoning", "truncation", "background",
    *_TELLING, *_MEANINGLESS,
)  # fmt: skip
_REFUSED = {
    "background": "answers are made while the client waits",
    "conversation": "go on from a response, by previous_response_id",
    "prompt": "there are no stored prompts; send the instructions",
    "context_management": "nothing of a conversation is left out",
    "moderation": "there is no moderation",
    "access_programs": "there are none",
}
_LOGPROBS = "message.output_text.logprobs"
_SEALED = "reasoning.encrypted_content"
_INCLUDES = (_LOGPROBS, _SEALED)
_FORMATS = ("text", "json_object", "json_schema")
_MODES = ("none", "auto", "required")
_REASONING = ("effort", "summary", "generate_summary")


@dataclass(frozen=True)
class Wanted:
    """What a request asks for.

    ``items`` are its input; ``chat`` what a chat completion is asked for, without the messages,
    and ``told`` what the response repeats of it. ``summary`` says that reasoning is to be told as
    a summary, which is the whole of it, and ``sealed`` that it is to be told as a client sends it
    back. ``unknown`` are the names of fields that do nothing here.
    """

    items: list[Json]
    instructions: str | None
    previous: str | None
    stream: bool
    store: bool
    logprobs: bool
    summary: bool
    sealed: bool
    truncates: bool
    unknown: list[str]
    chat: Json = field(default_factory=dict)
    told: Json = field(default_factory=dict)


def read(request: Json) -> Wanted:
    """Raises ApiError for what is wrong, or cannot be obeyed."""
    fields = Fields(request)
    fields.refuse(_REFUSED)
    truncation = fields.one("truncation", ("auto", "disabled")) or "disabled"
    includes = fields.take("include", list) or []
    for each in includes:
        if each not in _INCLUDES:
            raise wrong("include", f"{each!r} is not one of {', '.join(_INCLUDES)}")
    logprobs = _LOGPROBS in includes or bool(fields.take("top_logprobs", int))
    reasoning = fields.take("reasoning", dict) or {}
    asked = Fields(reasoning, "reasoning")
    stream = bool(fields.take("stream", bool))
    chat: Json = {"model": fields.take("model", str)}
    for name in _MEMBERS:
        chat |= _MEMBERS[name](fields)
    if logprobs:
        chat |= {"logprobs": True, "top_logprobs": fields.take("top_logprobs", int) or 0}
    if effort := asked.take("effort", str):
        chat["reasoning_effort"] = effort
    chat |= {name: True for name in _TELLING if fields.take(name, bool)}
    if stream:
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    summary = asked.take("summary", str) or asked.take("generate_summary", str)
    return Wanted(
        items=as_items(fields.need("input", str, list)),
        instructions=fields.take("instructions", str),
        previous=fields.take("previous_response_id", str),
        stream=stream,
        store=fields.take("store", bool) is not False,
        logprobs=logprobs,
        summary=summary is not None,
        sealed=_SEALED in includes,
        truncates=truncation == "auto",
        unknown=[
            *fields.others((*_KNOWN, *_REFUSED)),
            *asked.others(_REASONING),
            *Fields(fields.take("text", dict) or {}, "text").others(("format",)),
            *(tool.path("type") for tool in fields.objects("tools") if not _is_function(tool)),
        ],
        chat={name: value for name, value in chat.items() if value is not None},
        told=_told(fields, effort, summary) | {"truncation": truncation},
    )


def _told(fields: Fields, effort: str | None, summary: str | None) -> Json:
    return {
        "background": False,
        "instructions": fields.take("instructions", str),
        "max_output_tokens": fields.take("max_output_tokens", int),
        "metadata": _metadata(fields),
        "parallel_tool_calls": fields.take("parallel_tool_calls", bool) is not False,
        "previous_response_id": fields.take("previous_response_id", str),
        "reasoning": {"effort": effort, "summary": summary},
        "service_tier": "default",
        "store": fields.take("store", bool) is not False,
        "temperature": fields.take("temperature", float),
        "text": {"format": {"type": "text"}} | (fields.take("text", dict) or {}),
        "tool_choice": fields.take("tool_choice", str, dict) or "auto",
        "tools": fields.take("tools", list) or [],
        "top_logprobs": fields.take("top_logprobs", int) or 0,
        "top_p": fields.take("top_p", float),
        "user": fields.take("user", str),
    }


def _metadata(fields: Fields) -> Json:
    metadata: Json = fields.take("metadata", dict) or {}
    texts = all(isinstance(value, str) and len(value) <= 512 for value in metadata.values())
    if len(metadata) > 16 or any(len(name) > 64 for name in metadata) or not texts:
        message = "it has 16 texts at most, of 512 characters, by names of 64"
        raise wrong("metadata", message)
    return metadata


def _numbers(fields: Fields) -> Json:
    most = fields.take("max_output_tokens", int)
    if most is not None and most < 1:
        raise wrong("max_output_tokens", f"{most} is not a number from 1 up")
    return {
        "max_tokens": most,
        "temperature": fields.take("temperature", float),
        "top_p": fields.take("top_p", float),
        "parallel_tool_calls": fields.take("parallel_tool_calls", bool),
    }


def _text(fields: Fields) -> Json:
    text = Fields(fields.take("text", dict) or {}, "text")
    layout = Fields(text.take("format", dict) or {}, "text.format")
    kind = layout.one("type", _FORMATS, otherwise="text")
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"response_format": {"type": kind}}
    schema: Json = {"name": layout.need("name", str), "schema": layout.need("schema", dict)}
    for name, type_ in (("strict", bool), ("description", str)):
        if (value := layout.take(name, type_)) is not None:
            schema[name] = value
    return {"response_format": {"type": kind, "json_schema": schema}}


def _tools(fields: Fields) -> Json:
    """The functions among the tools; those that OpenAI's own servers run are none here."""
    given = fields.objects("tools")
    if not given:
        return {}
    tools = [_tool(each) for each in given if _is_function(each)]
    choice, allowed = _choice(fields)
    if allowed is not None:
        tools = [each for each in tools if each["function"]["name"] in allowed]
    return {"tools": tools, "tool_choice": choice}


def _is_function(tool: Fields) -> bool:
    kind: str = tool.need("type", str)
    return kind == "function"


def _tool(tool: Fields) -> Json:
    function: Json = {"name": tool.need("name", str)}
    for name, type_ in (("description", str), ("parameters", dict), ("strict", bool)):
        if (value := tool.take(name, type_)) is not None:
            function[name] = value
    return {"type": "function", "function": function}


def _choice(fields: Fields) -> tuple[Any, set[str] | None]:
    """The choice as a chat has it, and the only tools that may be called, None for all."""
    choice = fields.take("tool_choice", str, dict)
    if choice is None or isinstance(choice, str):
        return fields.one("tool_choice", _MODES), None
    asked = Fields(choice, "tool_choice")
    if needed(asked, "type", ("function", "allowed_tools")) == "function":
        return {"type": "function", "function": {"name": asked.need("name", str)}}, None
    allowed = [Fields(each, "tool_choice.tools") for each in asked.need("tools", list)]
    return needed(asked, "mode", _MODES), {each.need("name", str) for each in allowed}


_MEMBERS: Mapping[str, Callable[[Fields], Json]] = {
    "numbers": _numbers,
    "text": _text,
    "tools": _tools,
}


def counted(request: Json) -> Json:
    """A request to count tokens as one for a response."""
    given = {name: value for name, value in request.items() if name != "personality"}
    if request.get("personality") is not None:
        raise ApiError(400, "personality: there is none", code="invalid_value", param="personality")
    return {"input": "", **given, "store": False}
