"""What /openapi.json says of the Responses API."""

from collections.abc import Mapping

from ... import listing
from ...describe import (
    ANYTHING,
    BOOLEAN,
    COUNT,
    EVENTS,
    GUEST,
    INTEGER,
    JSON,
    NUMBER,
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
from .endpoints import MOST

_ITEM = {"type": "object"}
_INPUT: Schema = {"anyOf": [STRING, array(_ITEM)]}
_RESPONSE = record(
    {
        "id": STRING,
        "object": const("response"),
        "created_at": INTEGER,
        "status": enum("completed", "incomplete"),
        "model": STRING,
        "output": array(record({"id": STRING, "type": STRING})),
        "usage": nullable(record({"input_tokens": COUNT, "output_tokens": COUNT})),
    }
)
_STREAM = {
    **record({"data": STRING}),
    "description": "The events of the response, named and numbered; comments may stand between",
}
_TOOL = {
    "anyOf": [
        record({"type": const("function"), "name": {"type": "string", "minLength": 1}}),
        record({"type": {"type": "string", "not": const("function")}}),
    ]
}
_ASKED: Mapping[str, Schema] = {
    "model": nullable(STRING),
    "instructions": nullable(STRING),
    "previous_response_id": nullable(STRING),
    "tools": nullable(array(_TOOL)),
    "text": nullable({"type": "object"}),
    "reasoning": nullable({"type": "object"}),
}
_KEPT = (404, 503, 507)
DESCRIBED: Described = {
    ("/v1/responses", "POST"): operation(
        "A response, which later ones can go on from",
        tag="responses",
        body=record(
            {"input": _INPUT},
            stream=nullable(BOOLEAN),
            store=nullable(BOOLEAN),
            temperature=nullable(NUMBER),
            top_p=nullable(NUMBER),
            max_output_tokens=nullable({"type": "integer", "minimum": 1}),
            **_ASKED,
        ),
        answers={JSON: _RESPONSE, EVENTS: _STREAM},
        errors=(*_KEPT, *GUEST),
    ),
    ("/v1/responses/input_tokens", "POST"): operation(
        "The tokens that a response would read",
        tag="responses",
        body=record({}, input=_INPUT, **_ASKED),
        answers={JSON: record({"object": const("response.input_tokens"), "input_tokens": COUNT})},
        errors=(*_KEPT, *GUEST),
    ),
    ("/v1/responses/{id}", "GET"): operation(
        "A response that is kept",
        tag="responses",
        query={"stream": enum("false")},
        answers={JSON: _RESPONSE},
        errors=(400, *_KEPT),
    ),
    ("/v1/responses/{id}", "DELETE"): operation(
        "Forget a response",
        tag="responses",
        answers={JSON: record({"id": STRING, "deleted": BOOLEAN})},
        errors=_KEPT,
    ),
    ("/v1/responses/{id}/input_items", "GET"): operation(
        "What a response was asked, a page at a time",
        tag="responses",
        query=listing.asked(MOST),
        answers={JSON: listing.described(ANYTHING)},
        errors=(400, *_KEPT),
    ),
    ("/v1/responses/{id}/cancel", "POST"): operation(
        "Refused: nothing is made in the background",
        tag="responses",
        answers={JSON: _RESPONSE},
        errors=(400, *_KEPT),
    ),
}
