"""What Ollama's clients ask for, as OpenAI's requests have it."""

import json
import re
from collections.abc import Awaitable, Callable, Iterable

from ..bridge import Json
from ..fields import Fields, wrong

Context = Callable[[], Awaitable[int | None]]
"""Asks how many tokens the chat model's context has, None if that is not known."""

_OPTIONS: dict[str, tuple[str, type]] = {
    "seed": ("seed", int),
    "num_predict": ("max_tokens", int),
    "top_k": ("top_k", int),
    "top_p": ("top_p", float),
    "min_p": ("min_p", float),
    "typical_p": ("typical_p", float),
    "repeat_last_n": ("repeat_last_n", int),
    "temperature": ("temperature", float),
    "repeat_penalty": ("repeat_penalty", float),
    "presence_penalty": ("presence_penalty", float),
    "frequency_penalty": ("frequency_penalty", float),
    "mirostat": ("mirostat", int),
    "mirostat_tau": ("mirostat_tau", float),
    "mirostat_eta": ("mirostat_eta", float),
    "stop": ("stop", list),
}
"""What OpenAI's endpoint calls them here, and their types."""

_PLACES = (
    "numa", "num_batch", "num_gpu", "main_gpu", "low_vram", "use_mmap", "use_mlock", "num_thread",
    "num_keep",
)  # fmt: skip
"""They say how a model is computed, not what it answers; the server's own options do."""

_NOT_OPTIONS = {
    "vocab_only": "the model would answer nothing",
    "logits_all": "there are no logits to have",
    "embedding_only": "ask /api/embed",
}
_CHECKED = ("num_ctx", "penalize_newline", "tfs_z")
_KNOWN_OPTIONS = (*_OPTIONS, *_PLACES, *_NOT_OPTIONS, *_CHECKED)
_NO_TIME = re.compile(r"0+(ns|us|ms|s|m|h)?")
_MAGIC = {"/9j/": "jpeg", "iVBOR": "png", "R0lG": "gif", "UklG": "webp", "Qk": "bmp"}


def lets_go(fields: Fields) -> bool:
    """Whether the model is not to stay after the answer.

    Another ``keep_alive`` asks for nothing that a client could see: a model that goes comes back
    with the next request.
    """
    given = fields.take("keep_alive", float, str)
    return given == 0 or (isinstance(given, str) and _NO_TIME.fullmatch(given) is not None)


def unknown_of(fields: Fields, known: Iterable[str]) -> list[str]:
    """The names of fields that are not ``known``, and of options: they do nothing here."""
    return [*fields.others(known), *_options_of(fields).others(_KNOWN_OPTIONS)]


def unread_of(fields: Fields, known: Iterable[str]) -> list[str]:
    """As unknown_of(), where no option but that of a place is obeyed."""
    return [*fields.others(known), *_options_of(fields).others(_PLACES)]


def _options_of(fields: Fields) -> Fields:
    return Fields(fields.take("options", dict) or {}, "options")


async def settings_of(fields: Fields, context: Context) -> Json:
    """What the fields that both endpoints have say."""
    found: Json = {"model": fields.need("model", str)}
    found |= _format(fields)
    found |= _thinking(fields)
    return found | await _options(fields, context)


def _thinking(fields: Fields) -> Json:
    think = fields.take("think", bool, str)
    if think is None:
        return {}
    if think is True:
        return {"chat_template_kwargs": {"enable_thinking": True}}
    if think is False:
        return {"reasoning_effort": "none"}
    return {"reasoning_effort": fields.one("think", ("low", "medium", "high"))}


async def _options(fields: Fields, context: Context) -> Json:
    found: Json = {}
    options = _options_of(fields)
    options.refuse(_NOT_OPTIONS)
    if options.take("penalize_newline", bool) is False:
        raise wrong("options.penalize_newline", "the penalties are for every token")
    if options.take("tfs_z", float) not in (None, 1):
        raise wrong("options.tfs_z", "llama.cpp has this sampler no more; 1 is off")
    for name, (called, kind) in _OPTIONS.items():
        if (value := options.take(name, kind)) is not None:
            found[called] = value
    if found.get("max_tokens", 0) < 0:
        found["max_tokens"] = -1
    await _check_context(options, context)
    return found


async def _check_context(options: Fields, context: Context) -> None:
    """A context that the model has, or a part of it, is granted."""
    wanted = options.take("num_ctx", int)
    there = await context() if wanted is not None else None
    if wanted is not None and (there is None or wanted > there):
        has = "is not known" if there is None else f"has {there} tokens"
        reason = f"{wanted} tokens are asked for, and the model's context {has};"
        raise wrong("options.num_ctx", f"{reason} start it with --ctx-size {wanted}")


def _format(fields: Fields) -> Json:
    layout = fields.take("format", str, dict)
    if not layout:
        return {}
    if isinstance(layout, dict):
        schema = {"name": "answer", "schema": layout}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    fields.one("format", ("json",))
    return {"response_format": {"type": "json_object"}}


def message_of(fields: Fields) -> Json:
    """A message of a conversation. Raises ApiError."""
    role = fields.one("role", ("system", "user", "assistant", "tool"), otherwise="user")
    text = fields.take("content", str) or ""
    said: Json = {"role": role, "content": content_of(text, fields)}
    if thought := fields.take("thinking", str):
        said["reasoning_content"] = thought
    if calls := fields.objects("tool_calls"):
        said["tool_calls"] = [_call(each, number) for number, each in enumerate(calls)]
    if role == "tool":
        name = fields.take("tool_name", str)
        said |= {"name": name} if name else {}
        said["tool_call_id"] = fields.take("tool_call_id", str) or name or ""
    return said


def _call(fields: Fields, number: int) -> Json:
    function = Fields(fields.need("function", dict), fields.path("function"))
    arguments = json.dumps(function.take("arguments", dict) or {})
    id_ = fields.take("id", str) or f"call_{number}"
    named = {"name": function.need("name", str), "arguments": arguments}
    return {"id": id_, "type": "function", "function": named}


def content_of(text: str, fields: Fields) -> str | list[Json]:
    """The text, with the pictures if there are some."""
    images = fields.texts("images")
    if not images:
        return text
    parts: list[Json] = [{"type": "text", "text": text}]
    for each in images:
        kind = next((kind for start, kind in _MAGIC.items() if each.startswith(start)), "png")
        url = f"data:image/{kind};base64,{each}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return parts
