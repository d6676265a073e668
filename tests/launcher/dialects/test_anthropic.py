"""Anthropic's messages as chat completions, and back."""

import json
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from llamaedge_launcher.proxy.dialects.anthropic import CountTokens, Messages
from llamaedge_launcher.proxy.errors import ApiError

from .scripted import LAST, STREAM, WHOLE, Scripted, chunk, whole

ASK = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
FUNCTION = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
}


def asked(**fields: Any) -> dict[str, Any]:
    """What OpenAI's endpoint is asked, without what ASK says."""
    guest = Scripted(answer=whole({"content": "x"}))
    response = guest.post(Messages(), ASK | fields)
    assert response.status_code == 200, response.text
    plain = {"model": "m", "max_tokens": 9, "messages": ASK["messages"]}
    return {k: v for k, v in guest.asked.items() if plain.get(k) != v}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        (
            {"temperature": 0.5, "top_p": 1, "top_k": 3},
            {"temperature": 0.5, "top_p": 1, "top_k": 3},
        ),
        ({"stop_sequences": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"metadata": {"user_id": "u"}, "service_tier": "auto"}, {}),
        ({"tools": [TOOL]}, {"tools": [FUNCTION]}),
        ({"tool_choice": {"type": "any"}}, {"tool_choice": "required"}),
        ({"tool_choice": {"type": "none"}}, {"tool_choice": "none"}),
        (
            {"tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True}},
            {
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "parallel_tool_calls": False,
            },
        ),
        ({"thinking": {"type": "disabled"}}, {"reasoning_effort": "none"}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 5}},
            {"chat_template_kwargs": {"enable_thinking": True}, "reasoning_budget": 5},
        ),
        ({"thinking": {"type": "adaptive"}}, {}),
        (
            {"output_config": {"effort": "max", "format": {"type": "json_schema", "schema": {}}}},
            {
                "reasoning_effort": "high",
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {}},
                },
            },
        ),
    ],
)
def test_settings(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert asked(**fields) == expected


def blocks(role: str, *content: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked(messages=[{"role": role, "content": list(content)}])[
        "messages"
    ]
    return found


def test_the_system_prompt_comes_first() -> None:
    system = [{"type": "text", "text": "Be", "cache_control": {"type": "ephemeral"}}]
    found = asked(system=[*system, {"type": "text", "text": "brief."}])["messages"]
    assert found == [{"role": "system", "content": "Be\nbrief."}, *ASK["messages"]]


def test_pictures_and_documents_are_parts() -> None:
    image = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    paper = {"type": "text", "media_type": "text/plain", "data": "words"}
    found = blocks(
        "user",
        {"type": "image", "source": image},
        {"type": "document", "source": paper},
        {"type": "text", "text": "?"},
    )
    url = {"url": "data:image/png;base64,AAAA"}
    parts = [
        {"type": "image_url", "image_url": url},
        {"type": "text", "text": "words"},
        {"type": "text", "text": "?"},
    ]
    assert found == [{"role": "user", "content": parts}]


def test_what_the_assistant_did_goes_back() -> None:
    found = blocks(
        "assistant",
        {"type": "thinking", "thinking": "Hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "Look: "},
        {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
    )
    function = {"name": "f", "arguments": '{"a": 1}'}
    calls = [{"id": "1", "type": "function", "function": function}]
    said = {"role": "assistant", "content": "Look: ", "reasoning_content": "Hm"}
    assert found == [{**said, "tool_calls": calls}]


def test_results_of_tools_are_messages_before_the_text() -> None:
    found = blocks(
        "user",
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "5"}]},
        {"type": "tool_result", "tool_use_id": "2", "content": "no", "is_error": True},
        {"type": "text", "text": "Well?"},
    )
    assert found == [
        {"role": "tool", "tool_call_id": "1", "content": "5"},
        {"role": "tool", "tool_call_id": "2", "content": "Error: no"},
        {"role": "user", "content": [{"type": "text", "text": "Well?"}]},
    ]


def test_what_tools_have_seen_is_the_users() -> None:
    picture = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": "1"}
    found = blocks(
        "user",
        {
            **result,
            "content": [{"type": "text", "text": "Seen"}, {"type": "image", "source": picture}],
        },
        {**result, "tool_use_id": "2", "content": "5"},
        {"type": "text", "text": "Well?"},
    )
    assert found == [
        {"role": "tool", "tool_call_id": "1", "content": "Seen"},
        {"role": "tool", "tool_call_id": "2", "content": "5"},
        {"role": "user", "content": [url, {"type": "text", "text": "Well?"}]},
    ]


@pytest.mark.parametrize("dialect", [Messages(), CountTokens()])
def test_what_nobody_knows_is_named_in_a_header(dialect: Any) -> None:
    guest = Scripted(answer=whole({"content": "x"}) | {"input_tokens": 9})
    edits = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    fields = {"context_management": edits, "a\n, b": 1, "nothing": None}
    response = guest.post(dialect, ASK | fields)
    assert response.status_code == 200
    assert response.headers["x-unknown-fields"] == "context_management, a???b"
    assert "x-unknown-fields" not in guest.post(dialect, ASK).headers


def test_a_call_that_is_cut_off_is_none() -> None:
    call = {"id": "1", "function": {"name": "f", "arguments": '{"a": '}}
    answer = whole({"content": "Look:", "tool_calls": [call]}, finish="length")
    found = Scripted(answer=answer).post(Messages(), ASK).json()
    assert [each["type"] for each in found["content"]] == ["text"]
    assert found["stop_reason"] == "max_tokens"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"model": None}, "model"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "x"}]}]}, "content[0].type"),
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"speed": "fast"}, "speed"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"stream": "yes"}, "stream"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
    ],
)  # fmt: skip
def test_what_is_not_obeyed_is_named(fields: dict[str, Any], named: str) -> None:
    for dialect in (Messages(), CountTokens()):
        if isinstance(dialect, CountTokens) and named in ("max_tokens", "stream", "model"):
            continue
        guest = Scripted(answer=whole({"content": "x"}))
        response = guest.post(dialect, ASK | fields)
        error = response.json()
        assert (response.status_code, error["type"]) == (400, "error")
        assert error["error"]["type"] == "invalid_request_error"
        assert named in error["error"]["message"]
        assert guest.asked == {}


def test_an_answer() -> None:
    guest = Scripted(answer=WHOLE)
    found = guest.post(Messages(), ASK).json()
    message = Message.model_validate(found)
    kinds = [each.type for each in message.content]
    assert kinds == ["thinking", "text", "tool_use", "tool_use"]
    assert found["content"][0]["thinking"] == "Hmm."
    assert found["content"][2] == {
        "type": "tool_use",
        "id": "call_1",
        "name": "f",
        "input": {"a": 1},
    }
    assert (message.stop_reason, message.model) == ("tool_use", "m")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (9, 4)
    assert (guest.records[0].prompt_tokens, guest.records[0].completion_tokens) == (9, 4)


@pytest.mark.parametrize(
    ("choice", "reason", "sequence"),
    [
        ({"finish_reason": "stop"}, "end_turn", None),
        ({"finish_reason": "length"}, "max_tokens", None),
        ({"finish_reason": "stop", "stop_reason": "END"}, "stop_sequence", "END"),
    ],
)
def test_why_it_stopped(choice: dict[str, Any], reason: str, sequence: str | None) -> None:
    answer = whole({"content": "x"})
    answer["choices"][0] |= choice
    found = Scripted(answer=answer).post(Messages(), ASK).json()
    assert (found["stop_reason"], found["stop_sequence"]) == (reason, sequence)


def events(guest: Scripted) -> list[dict[str, Any]]:
    """What a client streams; every event is one of the client's types."""
    response = guest.post(Messages(), ASK | {"stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for frame in response.text.strip().split("\n\n"):
        name, data = frame.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def test_a_stream_tells_what_the_whole_answer_does() -> None:
    guest = Scripted(chunks=STREAM)
    found = events(guest)
    for each in found:
        EVENT.validate_python(each)
    assert guest.asked["stream_options"] == {"include_usage": True}
    content: list[dict[str, Any]] = []
    texts: list[str] = []
    for each in found:
        if each["type"] == "content_block_start":
            assert each["index"] == len(content)
            content.append(each["content_block"])
            texts.append("")
        elif each["type"] == "content_block_delta":
            assert each["index"] == len(content) - 1
            texts[-1] += next(v for k, v in each["delta"].items() if k != "type")
    joined = []
    for block, text in zip(content, texts, strict=True):
        key = {"thinking": "thinking", "text": "text", "tool_use": "input"}[block["type"]]
        joined.append(block | {key: json.loads(text) if key == "input" else text})
    assert joined == Scripted(answer=WHOLE).post(Messages(), ASK).json()["content"]
    kinds = [each["type"] for each in found]
    assert kinds[0] == "message_start"
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 4
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert found[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert (found[-2]["usage"]["input_tokens"], found[-2]["usage"]["output_tokens"]) == (9, 4)
    assert guest.records[0].completion_tokens == 4
    assert guest.records[0].first is not None


def test_what_was_thought_is_signed_before_its_end() -> None:
    found = events(Scripted(chunks=STREAM))
    deltas = [each["delta"]["type"] for each in found if each["type"] == "content_block_delta"]
    assert deltas.count("signature_delta") == 1
    signed = [each.get("delta", {}).get("type") for each in found].index("signature_delta")
    assert found[signed + 1] == {"type": "content_block_stop", "index": found[signed]["index"]}


def test_an_empty_stream_is_a_message() -> None:
    kinds = [each["type"] for each in events(Scripted(chunks=[chunk(finish="stop"), LAST]))]
    assert kinds == ["message_start", "message_delta", "message_stop"]


def test_a_message_begins_with_its_prompts_tokens() -> None:
    progress = {"total": 9, "cache": 2, "processed": 2, "time_ms": 0.0}
    guest = Scripted(
        chunks=[
            chunk({"role": "assistant"}),
            chunk(prompt_progress=progress),
            chunk(prompt_progress=progress | {"processed": 9}),
            chunk({"content": "x"}, finish="stop"),
            LAST,
        ]
    )
    found = events(guest)
    assert guest.asked["return_progress"] is True
    assert [each["type"] for each in found].count("message_start") == 1
    assert found[0]["message"]["usage"] == {
        "input_tokens": 7,
        "cache_read_input_tokens": 2,
        "cache_creation_input_tokens": 0,
        "output_tokens": 0,
    }


def test_silence_is_a_ping() -> None:
    comment = ": the answer is being computed\n\n"
    found = events(Scripted(chunks=[comment, chunk({"content": "x"}), LAST]))
    assert [each["type"] for each in found[:3]] == ["message_start", "ping", "content_block_start"]


@pytest.mark.parametrize("raised", [True, False])
def test_an_error_ends_a_stream(raised: bool) -> None:
    error = ApiError(502, "the guest ended", code="guest_ended")
    chunks = [chunk({"content": "x"})]
    guest = (
        Scripted(chunks=chunks, error=error)
        if raised
        else Scripted(chunks=[*chunks, json.loads(error.body())])
    )
    last = events(guest)[-1]
    assert last == {"type": "error", "error": {"type": "api_error", "message": "the guest ended"}}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, "not_found_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (502, "api_error"),
    ],
)
@pytest.mark.parametrize("raised", [True, False])
def test_errors_have_anthropics_types(status: int, kind: str, raised: bool) -> None:
    error = ApiError(status, "so it is", headers=[(b"retry-after", b"3")])
    guest = (
        Scripted(error=error, chunks=())
        if raised
        else Scripted(answer=json.loads(error.body()), status=status)
    )
    response = guest.post(Messages(), ASK)
    assert response.status_code == status
    assert response.json() == {"type": "error", "error": {"type": kind, "message": "so it is"}}
    assert response.headers["retry-after"] == "3"


def test_tokens_are_counted() -> None:
    guest = Scripted(answer={"object": "response.input_tokens", "input_tokens": 9})
    body = {"model": "m", "messages": ASK["messages"], "system": "s"}
    assert guest.post(CountTokens(), body).json() == {"input_tokens": 9}
    del body["model"]
    assert guest.post(CountTokens(), body).json() == {"input_tokens": 9}
    assert guest.path == "/v1/chat/completions/input_tokens"
    assert guest.asked["messages"][0] == {"role": "system", "content": "s"}


def test_a_conversation_without_room_is_told_in_anthropics_words() -> None:
    error = {"message": "so it is", "code": "context_length_exceeded"}
    error |= {"n_prompt_tokens": 300, "n_ctx": 128}
    guest = Scripted(answer={"error": error}, status=400)
    told = guest.post(Messages(), ASK).json()["error"]
    assert told == {
        "type": "invalid_request_error",
        "message": "prompt is too long: 300 tokens > 128 maximum",
    }
    assert guest.headers[b"x-truncation"] == b"disabled"
