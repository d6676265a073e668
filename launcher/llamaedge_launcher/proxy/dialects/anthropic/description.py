"""What /openapi.json says of Anthropic's API."""

from typing import Any

from ...describe import (
    ANYTHING,
    BOOLEAN,
    COUNT,
    EVENTS,
    INTEGER,
    JSON,
    NUMBER,
    STRING,
    Described,
    Operation,
    array,
    const,
    enum,
    failing,
    nullable,
    operation,
    record,
)

_BLOCKS = {"anyOf": [STRING, array(record({"type": STRING}))]}
_MESSAGES = array(record({"role": enum("user", "assistant"), "content": _BLOCKS}))
_USED = record({"input_tokens": COUNT, "output_tokens": COUNT})
_ANSWER = record(
    {
        "id": STRING,
        "type": const("message"),
        "role": const("assistant"),
        "model": STRING,
        "content": array(record({"type": enum("text", "thinking", "tool_use")})),
        "stop_reason": enum("end_turn", "max_tokens", "stop_sequence", "tool_use"),
        "stop_sequence": nullable(STRING),
        "usage": _USED,
    }
)
_EVENT = record({"event": STRING, "data": STRING})
_ERROR = record({"type": const("error"), "error": record({"type": STRING, "message": STRING})})


def _told(summary: str, **about: Any) -> Operation:
    return failing(operation(summary, tag="anthropic", **about), _ERROR)


DESCRIBED: Described = {
    ("/v1/messages", "POST"): _told(
        "Anthropic's messages",
        body=record(
            {
                "model": STRING,
                "messages": _MESSAGES,
                "max_tokens": {"type": "integer", "minimum": 1},
            },
            system=nullable(_BLOCKS),
            stream=nullable(BOOLEAN),
            temperature=nullable(NUMBER),
            top_p=nullable(NUMBER),
            top_k=nullable(INTEGER),
            stop_sequences=nullable(array(STRING)),
            tools=nullable(array({"type": "object"})),
            tool_choice=nullable({"type": "object"}),
            thinking=nullable({"type": "object"}),
            output_config=nullable({"type": "object"}),
            metadata=ANYTHING,
            cache_control=ANYTHING,
            service_tier=ANYTHING,
        ),
        answers={JSON: _ANSWER, EVENTS: _EVENT},
    ),
    ("/v1/messages/count_tokens", "POST"): _told(
        "How many tokens a conversation has",
        body=record(
            {"messages": _MESSAGES},
            model=nullable(STRING),
            system=nullable(_BLOCKS),
            thinking=nullable({"type": "object"}),
            tools=nullable(array({"type": "object"})),
        ),
        answers={JSON: record({"input_tokens": COUNT})},
    ),
}
