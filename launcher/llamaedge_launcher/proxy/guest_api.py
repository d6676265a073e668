"""What a guest serves: the paths, and what the front says of them."""

import json
from dataclasses import dataclass
from importlib.resources import files

from ..fleet.recipe import Kind
from .describe import (
    BOOLEAN,
    COUNT,
    EVENTS,
    GUEST,
    INTEGER,
    JSON,
    NUMBER,
    PLAIN,
    STRING,
    Described,
    Schema,
    array,
    const,
    enum,
    nullable,
    operation,
    record,
)


@dataclass(frozen=True)
class Endpoint:
    """A path that guests serve.

    ``requires`` is a field that its JSON requests must have, ``kind`` the model's that answers.
    """

    path: str
    methods: tuple[str, ...]
    requires: str | None = None
    computes: bool = False
    kind: Kind | None = None


CHAT = "/v1/chat/completions"
COUNT_TOKENS = "/v1/chat/completions/input_tokens"
ENDPOINTS = (
    Endpoint("/v1/info", ("GET",)),
    Endpoint(CHAT, ("POST",), "messages", computes=True, kind="chat"),
    Endpoint(COUNT_TOKENS, ("POST",), "messages", kind="chat"),
    Endpoint("/v1/completions", ("POST",), "prompt", computes=True, kind="chat"),
    Endpoint("/v1/embeddings", ("POST",), "input", computes=True, kind="embeddings"),
    Endpoint("/tokenize", ("POST",), "content", kind="chat"),
    Endpoint("/detokenize", ("POST",), "tokens", kind="chat"),
    Endpoint("/apply-template", ("POST",), "messages", kind="chat"),
    Endpoint("/echo", ("GET", "POST")),
)


def _whole(least: int) -> Schema:
    return nullable({"type": "integer", "minimum": least})


_JSON_SCHEMA = record({"schema": {"type": "object"}}, name=nullable(STRING))
_FORMAT = {
    "anyOf": [
        {"type": "null"},
        record({"type": enum("text", "json_object")}),
        record({"type": const("json_schema"), "json_schema": _JSON_SCHEMA}),
    ]
}


def _settings() -> dict[str, Schema]:
    """The fields that become settings of the model, as the bundled guest's table says them."""
    rows = json.loads((files(__package__) / "guest_settings.json").read_text("utf-8"))
    return {name: nullable(schema) for name, schema in rows.items()}


SAMPLING: dict[str, Schema] = {
    **_settings(),
    "model": nullable(STRING),
    "max_tokens": _whole(-1),
    "max_completion_tokens": _whole(-1),
    "n_predict": _whole(-1),
    "response_format": _FORMAT,
    "n": nullable({"type": "integer", "minimum": 1, "maximum": 16}),
    "stop": {
        "anyOf": [
            {"type": "null"},
            {"type": "string", "minLength": 1},
            array({"type": "string", "minLength": 1}, maxItems=16),
        ]
    },
    "stream": nullable(BOOLEAN),
    "stream_options": nullable(record({}, include_usage=nullable(BOOLEAN))),
}
_USAGE = record(dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), COUNT))
_CALL = record({"function": record({"name": STRING, "arguments": STRING})}, id=STRING, type=STRING)
_PART = {
    "anyOf": [
        record({"type": const("text"), "text": STRING}),
        record({"type": const("image_url"), "image_url": record({"url": STRING})}),
    ]
}
_MESSAGE = record(
    {
        "role": enum("system", "developer", "user", "assistant", "tool"),
        "content": {"anyOf": [STRING, array(_PART)]},
    },
    name=nullable(STRING),
    tool_calls=nullable(array(_CALL)),
    tool_call_id=nullable(STRING),
    reasoning_content=nullable(STRING),
)
_NAME: Schema = {"type": "string", "minLength": 1}
_TOOL = record(
    {
        "type": const("function"),
        "function": record(
            {"name": _NAME},
            description=nullable(STRING),
            parameters=nullable({"type": "object"}),
        ),
    }
)
_CHOICE = {
    "anyOf": [
        {"type": "null"},
        enum("none", "auto", "required"),
        record({"type": const("function"), "function": record({"name": _NAME})}),
        record(
            {
                "type": const("allowed_tools"),
                "allowed_tools": record(
                    {
                        "mode": enum("none", "auto", "required"),
                        "tools": array(record({"function": record({"name": _NAME})})),
                    }
                ),
            }
        ),
    ]
}
_FINISH = nullable(enum("stop", "length", "tool_calls"))
_CHAT = record(
    {
        "id": STRING,
        "object": const("chat.completion"),
        "created": INTEGER,
        "model": STRING,
        "choices": array(
            record(
                {
                    "index": COUNT,
                    "message": record(
                        {"role": const("assistant"), "content": nullable(STRING)},
                        reasoning_content=STRING,
                        tool_calls=array(_CALL),
                    ),
                    "finish_reason": _FINISH,
                },
                stop_reason=STRING,
            )
        ),
        "usage": _USAGE,
    }
)
_TEXT = record(
    {
        "id": STRING,
        "object": const("text_completion"),
        "created": INTEGER,
        "model": STRING,
        "choices": array(
            record({"index": COUNT, "text": STRING, "finish_reason": _FINISH}, stop_reason=STRING)
        ),
        "usage": _USAGE,
    }
)
STREAM = {
    **record({"data": STRING}),
    "description": "The events: each a chunk as JSON, the last [DONE]; comments may stand between",
}
_TOKENS = array(COUNT, minItems=1)
_OBJECT = {
    "anyOf": [
        record({"prompt_string": {"type": "string", "minLength": 1}}),
        record({"content": array(record({"type": const("text"), "text": STRING}), minItems=1)}),
    ]
}
_ONE_INPUT = {"anyOf": [STRING, array({"anyOf": [COUNT, STRING]}, minItems=1), _OBJECT]}
INPUT = {"anyOf": [_ONE_INPUT, array(_ONE_INPUT, minItems=1)]}
"""A text, token numbers with texts among them or not, an object of llama.cpp's, or several."""
_PIECE = record({"id": COUNT, "piece": {"anyOf": [STRING, array(COUNT)]}})
_PART_OR_PROMPT = {"anyOf": [STRING, COUNT, array({"anyOf": [STRING, COUNT]}, minItems=1)]}
PROMPTS = {"anyOf": [STRING, array(_PART_OR_PROMPT, minItems=1)]}
"""One prompt, which is a text, or token numbers with texts among them, or several."""
_VECTORS = record(
    {
        "object": const("list"),
        "data": array(
            record(
                {
                    "index": COUNT,
                    "object": const("embedding"),
                    "embedding": {"anyOf": [array(NUMBER), STRING]},
                }
            )
        ),
        "model": STRING,
        "usage": _USAGE,
    }
)
_COMPUTED = (404, *GUEST)

DESCRIBED: Described = {
    ("/v1/info", "GET"): operation(
        "What the server runs, and with which settings",
        tag="models",
        answers={JSON: record({"version": STRING})},
        errors=GUEST,
    ),
    (CHAT, "POST"): operation(
        "An answer to a conversation; with a WebSocket handshake, one for each text frame",
        tag="chat",
        body=record(
            {"messages": array(_MESSAGE, minItems=1)},
            tools=nullable(array(_TOOL)),
            tool_choice=_CHOICE,
            parallel_tool_calls=nullable(BOOLEAN),
            logprobs=nullable(BOOLEAN),
            top_logprobs=nullable({"type": "integer", "minimum": 0, "maximum": 20}),
            timings_per_token=nullable(BOOLEAN),
            truncation=nullable(enum("auto", "disabled")),
            **SAMPLING,
        ),
        answers={JSON: _CHAT, EVENTS: STREAM},
        errors=_COMPUTED,
    ),
    (COUNT_TOKENS, "POST"): operation(
        "How many tokens a conversation has for the model; nothing is computed",
        tag="chat",
        body=record(
            {"messages": array(_MESSAGE, minItems=1)},
            tools=nullable(array(_TOOL)),
            tool_choice=_CHOICE,
            model=nullable(STRING),
        ),
        answers={JSON: record({"object": const("response.input_tokens"), "input_tokens": COUNT})},
        errors=_COMPUTED,
    ),
    ("/v1/completions", "POST"): operation(
        "A text that goes on from a prompt",
        tag="completions",
        body=record(
            {"prompt": PROMPTS},
            suffix=nullable(STRING),
            echo=nullable(BOOLEAN),
            logprobs={
                "anyOf": [
                    {"type": "integer", "minimum": 0, "maximum": 20},
                    BOOLEAN,
                    {"type": "null"},
                ]
            },
            **SAMPLING,
        ),
        answers={JSON: _TEXT, EVENTS: STREAM},
        errors=_COMPUTED,
    ),
    ("/v1/embeddings", "POST"): operation(
        "Vectors for texts or tokens",
        tag="embeddings",
        body=record(
            {"input": INPUT},
            model=nullable(STRING),
            encoding_format=nullable(enum("float", "base64")),
            dimensions=nullable(INTEGER),
            truncate=nullable(BOOLEAN),
        ),
        answers={JSON: _VECTORS},
        errors=_COMPUTED,
    ),
    ("/tokenize", "POST"): operation(
        "A text as the model's tokens, as llama.cpp's server answers it",
        tag="llama.cpp",
        body=record(
            {"content": STRING},
            model=nullable(STRING),
            add_special=nullable(BOOLEAN),
            parse_special=nullable(BOOLEAN),
            with_pieces=nullable(BOOLEAN),
        ),
        answers={JSON: record({"tokens": array({"anyOf": [COUNT, _PIECE]})})},
        errors=_COMPUTED,
    ),
    ("/detokenize", "POST"): operation(
        "Tokens as a text, as llama.cpp's server answers it",
        tag="llama.cpp",
        body=record({"tokens": array(COUNT)}, model=nullable(STRING)),
        answers={JSON: record({"content": STRING})},
        errors=_COMPUTED,
    ),
    ("/apply-template", "POST"): operation(
        "A conversation as the model sees it, as llama.cpp's server answers it",
        tag="llama.cpp",
        body=record(
            {"messages": array(_MESSAGE, minItems=1)},
            tools=nullable(array(_TOOL)),
            tool_choice=_CHOICE,
        ),
        answers={JSON: record({"prompt": STRING})},
        errors=_COMPUTED,
    ),
    ("/echo", "GET"): operation("`echo test`", tag="server", answers={PLAIN: STRING}, errors=GUEST),
    ("/echo", "POST"): operation(
        "`echo test`", tag="server", answers={PLAIN: STRING}, errors=(*GUEST, 413)
    ),
}
