"""What a model answered in a chat, as the output of a response."""

import time
import uuid
from typing import Any

from ..bridge import Json
from .request import Wanted
from .sealed import sealed

_REASONS = {"length": "max_output_tokens"}


def new_id(kind: str) -> str:
    """An id of ``kind``, such as ``resp``."""
    return f"{kind}_{uuid.uuid4().hex}"


def begun(wanted: Wanted, model: str) -> Json:
    """The response before anything is known of its output."""
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "usage": None,
        **wanted.told,
    }


def ended(response: Json, output: list[Json], reason: str | None, usage: Json | None) -> Json:
    """``response`` with all that is known at its end; ``reason`` is the chat's finish_reason."""
    cut = _REASONS.get(reason or "stop")
    if cut and output:
        output = [*output[:-1], {**output[-1], "status": "incomplete"}]
    return {
        **response,
        "status": "incomplete" if cut else "completed",
        "completed_at": None if cut else int(time.time()),
        "incomplete_details": {"reason": cut} if cut else None,
        "output": output,
        "usage": used(usage),
    }


def failed(response: Json, message: str) -> Json:
    """``response``, which could not be made."""
    error = {"code": "server_error", "message": message}
    return {**response, "status": "failed", "error": error}


def used(usage: Json | None) -> Json | None:
    """A chat's usage as a response's."""
    if usage is None:
        return None
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    thought = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": usage["total_tokens"],
    }


def _detail(usage: Json, part: str, name: str) -> int:
    return int((usage.get(part) or {}).get(name) or 0)


def items(choice: Json, wanted: Wanted) -> list[Json]:
    """The output items of a chat's choice: what was thought, said and called."""
    said = choice["message"]
    found = []
    if thought := said.get("reasoning_content"):
        found.append(reasoning(new_id("rs"), thought, wanted))
    if (text := said.get("content")) or not (thought or said.get("tool_calls")):
        logprobs = (choice.get("logprobs") or {}).get("content") or []
        found.append(message(new_id("msg"), text or "", logprobs if wanted.logprobs else []))
    found += [call(new_id("fc"), each) for each in said.get("tool_calls") or ()]
    return found


def reasoning(id_: str, thought: str, wanted: Wanted, status: str = "completed") -> Json:
    """What the model thought; where a summary is ``wanted``, that is the whole of it."""
    summary = wanted.summary
    part = {"type": "summary_text" if summary else "reasoning_text", "text": thought}
    parts = [part] if thought else []
    kept = {"encrypted_content": sealed(thought)} if wanted.sealed and thought else {}
    return {
        "id": id_,
        "type": "reasoning",
        "summary": parts if summary else [],
        "content": [] if summary else parts,
        **kept,
        "status": status,
    }


def message(id_: str, text: str | None, logprobs: list[Any], status: str = "completed") -> Json:
    """What the model said; None is nothing yet."""
    content = [] if text is None else [text_part(text, logprobs)]
    return {
        "id": id_,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def text_part(text: str, logprobs: list[Any]) -> Json:
    """The text of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def call(id_: str, asked: Json, status: str = "completed") -> Json:
    """A call of a tool; ``asked`` is the chat's."""
    function = asked["function"]
    return {
        "id": id_,
        "type": "function_call",
        "call_id": asked["id"],
        "name": function["name"],
        "arguments": function.get("arguments") or "",
        "status": status,
    }
