"""Which clients there are, what each is asked, and what must come back."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .environments import NPM

Said = dict[str, Any]

TOOL: Any = {
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
SCHEMA: Any = {
    "title": "City",
    "description": "A city",
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Paris", "Rome"]},
        "old": {"type": "boolean"},
    },
    "required": ["city", "old"],
    "additionalProperties": False,
}
CALL = '{"name": "get_weather", "arguments": {"city": "Paris"}}'
TASK: Said = {
    "model": "default",
    "embedding_model": "embedding",
    "question": "What is the capital of France? Answer in one word.",
    "call": f"Repeat this, and nothing else:\n{CALL}",
    "tool": TOOL,
    "result": '{"weather": "snowing in Paris"}',
    "asks": "Name a city.",
    "schema": SCHEMA,
    "long": "Count from 1 to 1000.",
    "too_long": "word " * 3000,
    "texts": ["the sea", "the capital of france"],
}
"""What all clients are asked, as adapters/protocol.py says it. Even the demo model obeys."""

RECORDED = "recorded"
CONTEXT = 2048
"""Tokens, which hold all but what is too long."""


@dataclass(frozen=True)
class Client:
    """A client: its adapter's file, its package, and its environment unless it is the tests' own.

    One that is RECORDED has no package.

    It ``lacks`` those scenarios that it has nothing for, for a reason.
    """

    title: str
    adapter: str
    package: str
    environment: str | None = None
    lacks: Mapping[str, str] = field(default_factory=dict)


_NO_LIST = {"list": "lists no models"}
_NO_VECTORS = {"embed": "has no embeddings"}
_FORMS = {"tools": "calls tools for the form of an answer alone"}
_PYTHON = "python"
CLIENTS = (
    Client("openai (Python)", "openai_chat.py", "openai"),
    Client(
        "openai (Python), responses",
        "openai_responses.py",
        "openai",
        lacks=_NO_LIST | _NO_VECTORS,
    ),
    Client("anthropic (Python)", "anthropic_messages.py", "anthropic", lacks=_NO_VECTORS),
    Client("ollama (Python)", "ollama_client.py", "ollama"),
    Client("Open WebUI, as OpenAI", "open_webui_openai.py", RECORDED),
    Client("Open WebUI, as Ollama", "open_webui_ollama.py", RECORDED),
    Client("Continue, as OpenAI", "continue_openai.py", RECORDED),
    Client("Continue, as Ollama", "continue_ollama.py", RECORDED),
    Client("langchain-openai", "langchain.py", "langchain-openai", _PYTHON, _NO_LIST),
    Client("llama-index", "llama_index_client.py", "llama-index-core", _PYTHON, _NO_LIST),
    Client("litellm", "litellm_client.py", "litellm", _PYTHON),
    Client("pydantic-ai", "pydantic_ai_client.py", "pydantic-ai-slim", _PYTHON, _NO_LIST),
    Client(
        "instructor",
        "instructor_client.py",
        "instructor",
        _PYTHON,
        _NO_LIST | _FORMS | _NO_VECTORS,
    ),
    Client("llm", "llm_client.py", "llm", _PYTHON, _NO_LIST),
    Client("openai (npm)", "openai.mjs", "openai", NPM),
    Client("Vercel AI SDK", "vercel.mjs", "ai", NPM, _NO_LIST),
)


def _check_list(said: Said, task: Said) -> None:
    assert task["model"] in said["models"]
    assert task["embedding_model"] in said["models"]


def _check_chat(said: Said, task: Said) -> None:
    assert "Paris" in said["text"]


def _check_stream(said: Said, task: Said) -> None:
    assert len(said["pieces"]) > 2, "it came in one piece"
    assert "Paris" in "".join(said["pieces"])


def _check_tools(said: Said, task: Said) -> None:
    assert said["name"] == TOOL["name"]
    assert _value(said["arguments"]) == {"city": "Paris"}
    assert "snowing" in said["answer"], "the result did not go back"


def _check_structured(said: Said, task: Said) -> None:
    value = _value(said["value"])
    assert set(value) == {"city", "old"}
    assert value["city"] in ("Paris", "Rome")
    assert isinstance(value["old"], bool)


def _check_embed(said: Said, task: Said) -> None:
    one, other = said["vectors"]
    assert len(one) == len(other) > 10
    assert one != other
    assert abs(sum(value * value for value in one) - 1) < 1e-3


def _check_error(said: Said, task: Said) -> None:
    for kind, status in (("refused", 400), ("stranger", 401)):
        told = said[kind]
        assert told["status"] in (status, None), told
    assert re.search("context|too long", said["refused"]["message"])
    assert "key" in said["stranger"]["message"]


def _value(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) else text


SCENARIOS: Mapping[str, Callable[[Said, Said], None]] = {
    "list": _check_list,
    "chat": _check_chat,
    "stream": _check_stream,
    "tools": _check_tools,
    "structured": _check_structured,
    "embed": _check_embed,
    "error": _check_error,
    "cancel": lambda said, task: None,
}
"""What is checked of what a client says of each; that one is cancelled the server's log tells."""
