"""Ollama's requests as OpenAI's, and back."""

import json
from typing import Any

import pytest
from ollama import (
    ChatResponse,
    EmbedResponse,
    GenerateResponse,
)

from llamaedge_launcher.proxy.dialects.ollama import (
    Chat,
    Embed,
    Embeddings,
    Generate,
)
from llamaedge_launcher.proxy.errors import ApiError

from .scripted import LAST, STREAM, USAGE, WHOLE, Scripted, chunk, whole

ASK = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
PNG = "iVBORw0KGgo="


async def context() -> int | None:
    return 4096


async def unknown() -> int | None:
    return None


unloaded: list[str] = []


async def unload(name: str) -> None:
    unloaded.append(name)


def asked(**fields: Any) -> dict[str, Any]:
    """What OpenAI's endpoint is asked, without what ASK says."""
    guest = Scripted(answer=whole({"content": "x"}))
    response = guest.post(Chat(context, unload), ASK | {"stream": False} | fields)
    assert response.status_code == 200, response.text
    return {k: v for k, v in guest.asked.items() if ASK.get(k) != v}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"keep_alive": "5m", "options": {}}, {}),
        ({"options": {"num_thread": 4, "num_gpu": 1, "use_mmap": False}}, {}),
        ({"options": {"num_ctx": 4096}}, {}),
        ({"options": {"num_predict": 5}}, {"max_tokens": 5}),
        ({"options": {"num_predict": -2}}, {"max_tokens": -1}),
        (
            {"options": {"seed": 1, "top_k": 2, "top_p": 0.5, "min_p": 0.1, "stop": ["a"]}},
            {"seed": 1, "top_k": 2, "top_p": 0.5, "min_p": 0.1, "stop": ["a"]},
        ),
        ({"options": {"repeat_penalty": 1}}, {"repeat_penalty": 1}),
        ({"format": "json"}, {"response_format": {"type": "json_object"}}),
        ({"format": ""}, {}),
        (
            {"format": {"type": "string"}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "string"}},
                }
            },
        ),
        ({"think": False}, {"reasoning_effort": "none"}),
        ({"think": True}, {"chat_template_kwargs": {"enable_thinking": True}}),
        ({"think": "high"}, {"reasoning_effort": "high"}),
        ({"tools": [{"type": "function"}]}, {"tools": [{"type": "function"}]}),
    ],
)  # fmt: skip
def test_settings(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert asked(**fields) == expected


def test_messages() -> None:
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    found = asked(
        messages=[
            {"role": "user", "content": "See", "images": [PNG]},
            {"role": "assistant", "content": "", "thinking": "Hm", "tool_calls": [call]},
            {"role": "tool", "content": "5", "tool_name": "f"},
        ]
    )["messages"]
    url = {"url": f"data:image/png;base64,{PNG}"}
    function = {"name": "f", "arguments": '{"a": 1}'}
    calls = [{"id": "call_0", "type": "function", "function": function}]
    assert found == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": url}],
        },
        {"role": "assistant", "content": "", "reasoning_content": "Hm", "tool_calls": calls},
        {"role": "tool", "content": "5", "name": "f", "tool_call_id": "f"},
    ]


@pytest.mark.parametrize(
    ("kind", "path", "fields", "expected"),
    [
        (
            "chat",
            "/v1/chat/completions",
            {"prompt": "p"},
            {"messages": [{"role": "user", "content": "p"}]},
        ),
        (
            "chat",
            "/v1/chat/completions",
            {"prompt": "p", "system": "s"},
            {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "p"}]},
        ),
        ("raw", "/v1/completions", {"prompt": "p", "raw": True}, {"prompt": "p"}),
        ("raw", "/v1/completions", {"prompt": "p", "suffix": "s"}, {"prompt": "p", "suffix": "s"}),
    ],
)  # fmt: skip
def test_generate(kind: str, path: str, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    answer = whole({"content": "x"})
    if kind == "raw":
        answer["choices"] = [{"index": 0, "text": "x", "finish_reason": "length"}]
    guest = Scripted(answer=answer)
    found = guest.post(Generate(context, unload), {"model": "m", "stream": False, **fields}).json()
    assert guest.path == path
    assert guest.asked == {"model": "m", **expected}
    told = GenerateResponse.model_validate(found)
    assert (told.response, told.done, told.model) == ("x", True, "m")
    assert told.done_reason == ("length" if kind == "raw" else "stop")
    assert (told.prompt_eval_count, told.eval_count) == (9, 4)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"model": None}, "model"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "robot"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": ["Hi"]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "", "images": [1]}]}, "messages[0].images[0]"),
        ({"template": "x"}, "template"),
        ({"context": [1]}, "context"),
        ({"logprobs": True}, "logprobs"),
        ({"format": "xml"}, "format"),
        ({"think": "hard"}, "think"),
        ({"options": {"num_ctx": 4097}}, "options.num_ctx"),
        ({"options": {"vocab_only": True}}, "options.vocab_only"),
        ({"options": {"penalize_newline": False}}, "options.penalize_newline"),
        ({"options": {"tfs_z": 0.5}}, "options.tfs_z"),
        ({"options": {"seed": "x"}}, "options.seed"),
        ({"options": {"top_p": "x"}}, "options.top_p"),
        ({"options": []}, "options"),
        ({"stream": 1}, "stream"),
    ],
)
def test_what_is_not_obeyed_is_named(fields: dict[str, Any], named: str) -> None:
    guest = Scripted(answer=whole({"content": "x"}))
    response = guest.post(Chat(context, unload), ASK | fields)
    assert response.status_code == 400
    assert named in response.json()["error"]
    assert guest.asked == {}


def test_what_nobody_knows_is_named_in_a_header() -> None:
    guest = Scripted(answer=whole({"content": "x"}))
    fields = {"stream": False, "nonsense": 1, "options": {"tfs": 1, "seed": 2}, "context": []}
    response = guest.post(Chat(context, unload), ASK | fields)
    assert response.headers["x-unknown-fields"] == "nonsense, options.tfs"
    assert guest.asked["seed"] == 2


VECTORS = {"data": [{"index": 0, "object": "embedding", "embedding": [0.5]}], "usage": USAGE}


@pytest.mark.parametrize(
    ("dialect", "fields", "told"),
    [
        (Chat(context, unload), {"nonsense": 1}, "nonsense"),
        (Generate(context, unload), {"nonsense": 1}, "nonsense"),
        (Embed(), {"input": [], "options": {"top_k": 1, "num_gpu": 1}}, "options.top_k"),
        (Embed(), {"input": "a", "shift": True}, "shift"),
        (Embeddings(), {"prompt": "", "nonsense": 1}, "nonsense"),
        (Embeddings(), {"prompt": "a", "truncate": True}, "truncate"),
    ],
)
def test_what_nobody_knows_is_named_without_a_conversation(
    dialect: Any, fields: dict[str, Any], told: str
) -> None:
    response = Scripted(answer=VECTORS).post(dialect, {"model": "m", **fields})
    assert (response.status_code, response.headers["x-unknown-fields"]) == (200, told)


def test_a_sampler_that_is_off_is_none() -> None:
    guest = Scripted(answer=whole({"content": "x"}))
    for off in (1, 1.0):
        response = guest.post(Chat(context, unload), ASK | {"options": {"tfs_z": off}})
        assert (response.status_code, "x-unknown-fields" in response.headers) == (200, False)


def test_a_context_that_nobody_knows_is_not_granted() -> None:
    response = Scripted().post(Chat(unknown, unload), ASK | {"options": {"num_ctx": 5}})
    assert response.status_code == 400
    assert "is not known" in response.json()["error"]


@pytest.mark.parametrize("dialect", [Chat(context, unload), Generate(context, unload)])
def test_a_request_that_says_nothing_only_loads(dialect: Any) -> None:
    guest = Scripted()
    found = guest.post(dialect, {"model": "m"}).json()
    assert (found["done"], found["done_reason"]) == (True, "load")
    assert guest.asked == {}


def test_an_answer() -> None:
    guest = Scripted(answer=WHOLE)
    told = ChatResponse.model_validate(
        guest.post(Chat(context, unload), ASK | {"stream": False}).json()
    )
    assert (told.message.content, told.message.thinking) == ("It is.", "Hmm.")
    calls = told.message.tool_calls or []
    assert [(each.function.name, each.function.arguments) for each in calls] == [
        ("f", {"a": 1}), ("g", {})
    ]  # fmt: skip
    assert (told.done, told.done_reason, told.eval_count) == (True, "stop", 4)
    assert guest.records[0].completion_tokens == 4


def test_the_calls_have_ids_by_which_their_results_are_told() -> None:
    told = Scripted(answer=WHOLE).post(Chat(context, unload), ASK | {"stream": False}).json()
    calls = told["message"]["tool_calls"]
    assert [(each["id"], each["function"]["index"]) for each in calls] == [
        ("call_1", 0), ("call_2", 1)
    ]  # fmt: skip


@pytest.mark.parametrize("streams", [True, False])
def test_a_call_that_is_cut_off_is_none(streams: bool) -> None:
    cut = {"id": "1", "function": {"name": "f", "arguments": '{"a": '}}
    piece = {"index": 0, **cut}
    guest = Scripted(
        answer=whole({"content": "x", "tool_calls": [cut]}, finish="length"),
        chunks=[chunk({"tool_calls": [piece]}), chunk(finish="length"), LAST] if streams else (),
    )
    response = guest.post(Chat(context, unload), ASK | {"stream": streams})
    found = [json.loads(line) for line in response.text.splitlines()]
    assert found[-1]["done_reason"] == "length"
    assert not any(each["message"].get("tool_calls") for each in found)


@pytest.mark.parametrize("streams", [True, False])
def test_how_long_it_took_is_told_as_the_guest_tells_it(streams: bool) -> None:
    timings = {"prompt_ms": 1.5, "predicted_ms": 20.25}
    guest = Scripted(
        answer=whole({"content": "x"}) | {"timings": timings},
        chunks=[chunk({"content": "x"}), LAST | {"timings": timings}] if streams else (),
    )
    response = guest.post(Chat(context, unload), ASK | {"stream": streams})
    found = json.loads(response.text.splitlines()[-1])
    assert (found["prompt_eval_duration"], found["eval_duration"]) == (1_500_000, 20_250_000)


def lines(guest: Scripted, dialect: Any = None, **fields: Any) -> list[dict[str, Any]]:
    response = guest.post(dialect or Chat(context, unload), ASK | fields)
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def test_a_stream_tells_what_the_whole_answer_does() -> None:
    guest = Scripted(chunks=STREAM)
    found = [ChatResponse.model_validate(each) for each in lines(guest)]
    assert guest.asked["stream"] is True
    assert "".join(each.message.content or "" for each in found) == "It is."
    assert "".join(each.message.thinking or "" for each in found) == "Hmm."
    calls = [call for each in found for call in each.message.tool_calls or ()]
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("f", {"a": 1}), ("g", {})
    ]  # fmt: skip
    assert [each.done for each in found] == [False] * (len(found) - 1) + [True]
    assert (found[-1].prompt_eval_count, found[-1].eval_count) == (9, 4)
    assert found[-1].prompt_eval_duration is not None


def test_a_raw_stream() -> None:
    texts: list[Any] = [
        {"choices": [{"index": 0, "text": "a", "finish_reason": None}]},
        {"choices": [{"index": 0, "text": "b", "finish_reason": "length"}]},
        LAST,
    ]
    response = Scripted(chunks=texts).post(
        Generate(context, unload), {"model": "m", "prompt": "p", "raw": True}
    )
    found = [GenerateResponse.model_validate_json(line) for line in response.text.splitlines()]
    assert [each.response for each in found] == ["a", "b", ""]
    assert found[-1].done_reason == "length"


def test_an_error_ends_a_stream() -> None:
    error = ApiError(502, "the guest ended", code="guest_ended")
    guest = Scripted(chunks=[": silence\n\n", chunk({"content": "x"})], error=error)
    assert lines(guest)[-1] == {"error": "the guest ended"}


def test_an_error_is_ollamas() -> None:
    guest = Scripted(error=ApiError(404, "no such model"))
    response = guest.post(Chat(context, unload), ASK)
    assert (response.status_code, response.json()) == (404, {"error": "no such model"})


def test_embeddings() -> None:
    vectors = [{"index": n, "object": "embedding", "embedding": [n, 0.5]} for n in range(2)]
    guest = Scripted(answer={"data": vectors, "usage": USAGE})
    body = {"model": "e", "input": ["a", "b"], "dimensions": 2, "truncate": True}
    told = EmbedResponse.model_validate(guest.post(Embed(), body).json())
    assert [list(each) for each in told.embeddings] == [[0, 0.5], [1, 0.5]]
    assert told.prompt_eval_count == 9
    assert guest.asked == {"model": "e", "input": ["a", "b"], "dimensions": 2, "truncate": True}
    one = guest.post(Embeddings(), {"model": "e", "prompt": "a"}).json()
    assert one == {"embedding": [0, 0.5]}
    assert guest.asked == {"model": "e", "input": "a", "truncate": True}
    guest.post(Embed(), {"model": "e", "input": "a", "truncate": False})
    assert guest.asked["truncate"] is False


@pytest.mark.parametrize("given", ["", []])
def test_nothing_has_no_embeddings(given: Any) -> None:
    guest = Scripted()
    assert guest.post(Embed(), {"model": "e", "input": given}).json()["embeddings"] == []
    wrong = guest.post(Embed(), {"model": "e", "input": given, "dimensions": {}})
    assert (wrong.status_code, "dimensions" in wrong.json()["error"]) == (400, True)
    assert guest.post(Embeddings(), {"model": "e", "prompt": ""}).json() == {"embedding": []}
    assert guest.asked == {}


@pytest.mark.parametrize("given", [0, "0", "0s", "0m", 0.0])
def test_keeping_nothing_alive_unloads(given: Any) -> None:
    unloaded.clear()
    found = Scripted().post(Chat(context, unload), {"model": "m", "keep_alive": given}).json()
    assert (found["done_reason"], unloaded) == ("unload", ["m"])


@pytest.mark.parametrize("given", [-1, 300, "5m", "10s", None])
def test_keeping_it_alive_does_not(given: Any) -> None:
    unloaded.clear()
    found = Scripted().post(Generate(context, unload), {"model": "m", "keep_alive": given}).json()
    assert (found["done_reason"], unloaded) == ("load", [])
