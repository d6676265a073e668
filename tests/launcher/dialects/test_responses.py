"""OpenAI's Responses API with OpenAI's own client, on the real model and on scripted ones."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types.responses import Response, ResponseStreamEvent

from llamaedge_launcher.proxy.dialects.responses import store as store_module
from llamaedge_launcher.proxy.dialects.responses.events import Events
from llamaedge_launcher.proxy.dialects.responses.items import as_messages
from llamaedge_launcher.proxy.dialects.responses.request import read
from llamaedge_launcher.proxy.dialects.responses.store import RESPONSES, Kept, Store
from llamaedge_launcher.proxy.errors import ApiError
from llamaedge_launcher.storage.records import FolderRecords

from ..running import running

Json = dict[str, Any]
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
    "strict": True,
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    with running(tmp_path_factory.mktemp("responses")) as server:
        yield OpenAI(base_url=f"{server.wait_ready()}/v1", api_key="none", max_retries=0)


def ask(client: OpenAI, given: Any = "Name the capital of France.", **options: Any) -> Response:
    settings = {"model": "default", "temperature": 0, "max_output_tokens": 40} | options
    made = client.responses.create(input=given, **settings)
    assert isinstance(made, Response)
    return made


def stream(client: OpenAI, given: str, **options: Any) -> list[ResponseStreamEvent]:
    settings = {"model": "default", "temperature": 0, "max_output_tokens": 40} | options
    return list(client.responses.create(input=given, stream=True, **settings))


def test_a_response_is_made_and_kept(client: OpenAI) -> None:
    made = ask(client, metadata={"about": "France"})
    assert "Paris" in made.output_text
    assert made.status == "completed"
    assert made.usage is not None
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens > 2
    assert made.metadata == {"about": "France"}
    kept = client.responses.retrieve(made.id)
    assert kept.to_dict() == made.to_dict()
    items = client.responses.input_items.list(made.id)
    part = {"type": "input_text", "text": "Name the capital of France."}
    assert [each.to_dict()["content"] for each in items] == [[part]]
    client.responses.delete(made.id)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(made.id)


def test_a_response_goes_on_from_one_before(client: OpenAI) -> None:
    first = ask(client, "My name is Ada. Say hello.", instructions="Answer in one sentence.")
    second = ask(client, "What is my name?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    told = [
        {"role": "user", "content": "My name is Ada. Say hello."},
        *[each.to_dict() for each in first.output],
        {"role": "user", "content": "What is my name?"},
    ]
    assert ask(client, told, store=False).output_text == second.output_text


def test_what_is_not_kept_cannot_be_gone_on_from(client: OpenAI) -> None:
    made = ask(client, store=False)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(BadRequestError, match="is not kept") as caught:
        ask(client, previous_response_id=made.id)
    assert caught.value.code == "previous_response_not_found"


def test_a_stream_tells_the_response_as_it_is_made(client: OpenAI) -> None:
    whole = ask(client)
    events = stream(client, "Name the capital of France.")
    assert [event.sequence_number for event in events] == [*range(len(events))]
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    text = "".join(each.delta for each in events if each.type == "response.output_text.delta")
    last = events[-1]
    assert last.type == "response.completed"
    assert text == whole.output_text == last.response.output_text
    assert client.responses.retrieve(last.response.id).output_text == text


def test_a_stream_tells_its_progress_and_times_if_asked_to(client: OpenAI) -> None:
    more = {"timings_per_token": True, "return_progress": True}
    events = [each.model_dump() for each in stream(client, "Count. " * 30, extra_body=more)]
    progress = [each for each in events if each.get("prompt_progress")]
    assert {each["type"] for each in progress} == {"response.in_progress"}
    last = progress[-1]["prompt_progress"]
    assert last["processed"] == last["total"] > 30
    for kind in ("response.output_text.delta", "response.completed", "response.incomplete"):
        told = [each for each in events if each["type"] == kind]
        assert all(each["timings"]["predicted_n"] for each in told)
    quiet = [each.model_dump() for each in stream(client, "Hi")]
    assert not any(each.get("timings") or each.get("prompt_progress") for each in quiet)


def test_an_answer_that_is_cut_is_incomplete(client: OpenAI) -> None:
    made = ask(client, "Count to a hundred.", max_output_tokens=5)
    assert made.status == "incomplete"
    assert made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"
    last = stream(client, "Count to a hundred.", max_output_tokens=5)[-1]
    assert last.type == "response.incomplete"


def test_a_tool_is_called_and_its_result_goes_back(client: OpenAI) -> None:
    question = "What is the weather in Oslo?"
    choice: Any = {"type": "function", "name": "get_weather"}
    made = ask(client, question, tools=[WEATHER], tool_choice=choice)
    call = made.output[-1]
    assert call.type == "function_call"
    assert call.name == "get_weather"
    events = stream(client, question, tools=[WEATHER], tool_choice=choice)
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert [event.arguments for event in done] == [call.arguments]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "Snow, -3 degrees"}
    after = ask(client, [result], previous_response_id=made.id, tools=[WEATHER])
    assert after.output_text


def test_an_answer_follows_a_schema(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    layout: Any = {"format": {"type": "json_schema", "name": "city", "schema": schema}}
    assert json.loads(ask(client, text=layout).output_text)["city"] in ("Paris", "Rome")


def test_tokens_are_counted(client: OpenAI) -> None:
    count = client.responses.input_tokens.count(input="Name the capital of France.")
    usage = ask(client).usage
    assert usage is not None
    assert count.input_tokens == usage.input_tokens


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"truncation": "some"}, "truncation"),
        ({"include": ["file_search_call.results"]}, "include"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"input": [{"type": "web_search_call"}]}, "input[0].type"),
        ({"input": [{"role": "robot", "content": ""}]}, "input[0].role"),
        ({"input": 7}, "input"),
        ({"input": [{"type": "item_reference", "id": "msg_0"}]}, "input"),
    ],
)
def test_what_is_not_obeyed_is_named(client: OpenAI, request_: Json, named: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.post("/responses", body={"input": "a"} | request_, cast_to=object)
    assert caught.value.param == named


def test_what_does_nothing_here_is_named_in_a_header(client: OpenAI) -> None:
    """A program for OpenAI's own servers sends settings and tools of theirs with each request."""
    asked = {
        "input": "Hi",
        "max_output_tokens": 2,
        "tools": [{"type": "web_search"}, WEATHER, {"type": "custom", "name": "patch"}],
        "tool_choice": "auto",
        "text": {"verbosity": "low", "format": {"type": "text"}},
        "reasoning": {"effort": None, "context": "auto"},
        "extra_body": {"client_metadata": {"session": "1"}},
    }
    answer = client.responses.with_raw_response.create(**asked, model="default")
    assert answer.headers["x-unknown-fields"].split(", ") == [
        *(
            "client_metadata",
            "reasoning.context",
            "text.verbosity",
            "tools[0].type",
            "tools[2].type",
        )
    ]
    assert answer.parse().status == "incomplete"
    plain = client.responses.with_raw_response.create(
        input="Hi", model="default", max_output_tokens=2
    )
    assert "x-unknown-fields" not in plain.headers


def test_only_what_is_in_the_background_can_be_cancelled(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="background"):
        client.responses.cancel(ask(client).id)


def test_an_item_may_be_referred_to(client: OpenAI) -> None:
    first = ask(client, "Say hello.")
    reference: Any = {"type": "item_reference", "id": first.output[0].id}
    asked = [{"role": "user", "content": "Say hello."}]
    again = {"role": "user", "content": "And now goodbye."}
    made = ask(client, [*asked, reference, again])
    direct = ask(client, [*asked, first.output[0].to_dict(), again])
    assert made.output_text == direct.output_text


def test_items_become_messages() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    thought = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}]}
    said = {"role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    parts = [{"type": "input_text", "text": "See"}, picture]
    assert as_messages(
        [
            {"role": "user", "content": parts},
            thought,
            said,
            call,
            {**call, "call_id": "d"},
            {"type": "function_call_output", "call_id": "c", "output": "1"},
            {**thought, "content": None, "summary": [{"type": "summary_text", "text": "Well."}]},
            {**said, "content": "No."},
            {"role": "user", "content": parts[:1]},
        ]
    ) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": picture["image_url"]}},
            ],
        },
        {
            "role": "assistant",
            "content": "Yes.",
            "reasoning_content": "Hm.",
            "tool_calls": [
                {"id": id_, "type": "function", "function": {"name": "f", "arguments": "{}"}}
                for id_ in ("c", "d")
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "1"},
        {"role": "assistant", "content": "No.", "reasoning_content": "Well."},
        {"role": "user", "content": "See"},
    ]


def test_what_tools_have_seen_is_the_users() -> None:
    url = "data:image/png;base64,AA=="
    seen = [{"type": "input_text", "text": "Seen"}, {"type": "input_image", "image_url": url}]
    result = {"type": "function_call_output", "call_id": "c"}
    messages = as_messages([{**result, "output": seen}, {**result, "call_id": "d", "output": "1"}])
    assert messages == [
        {"role": "tool", "tool_call_id": "c", "content": "Seen"},
        {"role": "tool", "tool_call_id": "d", "content": "1"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]},
    ]


@pytest.mark.parametrize(
    ("summary", "part", "kinds"),
    [
        (None, "content", ("content_part.added", "reasoning_text.delta")),
        ("auto", "summary", ("reasoning_summary_part.added", "reasoning_summary_text.delta")),
    ],
)
def test_reasoning_is_an_item_of_its_own(
    summary: str | None, part: str, kinds: tuple[str, str]
) -> None:
    ended: list[Json] = []
    wanted = read({"input": "a", "stream": True, "reasoning": {"summary": summary}})
    events = Events(wanted, ended.append)
    told = b""
    for delta in ({"reasoning_content": "Hm"}, {"reasoning_content": "."}, {"content": "Yes"}):
        told += events.chunk({"model": "m", "choices": [{"delta": delta}]})
    told += events.end()
    assert all(f"event: response.{kind}\n".encode() in told for kind in kinds)
    reasoning, message = ended[0]["output"]
    assert [each["text"] for each in reasoning[part]] == ["Hm."]
    assert [each["text"] for each in message["content"]] == ["Yes"]
    Response.model_validate(ended[0])


def test_reasoning_goes_back_with_a_client_that_keeps_nothing_here() -> None:
    include = ["reasoning.encrypted_content"]
    ended: list[Json] = []
    events = Events(read({"input": "a", "stream": True, "include": include}), ended.append)
    for delta in ({"reasoning_content": "Hm"}, {"reasoning_content": " é."}, {"content": "Yes"}):
        events.chunk({"model": "m", "choices": [{"delta": delta}]})
    events.end()
    kept = ended[0]["output"][0]["encrypted_content"]
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": kept}
    [said] = as_messages([item])
    assert said["reasoning_content"] == "Hm é."
    for foreign in ("gAAAAA==", "reasoning:%", "reasoning:/w=="):
        [said] = as_messages([{**item, "encrypted_content": foreign}])
        assert said["reasoning_content"] == ""


def test_allowed_tools_are_the_only_ones() -> None:
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"name": "b"}]}
    tools = [{"type": "function", "name": name} for name in "abc"]
    wanted = read({"input": "a", "tools": tools, "tool_choice": allowed})
    assert [each["function"]["name"] for each in wanted.chat["tools"]] == ["b"]
    assert wanted.chat["tool_choice"] == "required"
    with pytest.raises(ApiError, match="mode"):
        read({"input": "a", "tools": tools, "tool_choice": allowed | {"mode": "many"}})


def kept(id_: str, previous: str | None, given: str = "a") -> Kept:
    output = [{"id": f"msg_{id_}", "type": "message", "role": "assistant", "content": id_}]
    response = {"id": id_, "previous_response_id": previous, "output": output}
    return Kept(response, [{"role": "user", "content": given}])


def texts(store: Store, id_: str) -> list[str] | None:
    found = store.conversation(id_)
    return None if found is None else [each["content"] for each in found]


def test_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MOST", 3)
    store = Store(FolderRecords(tmp_path))
    for number in range(5):
        store.put(kept(str(number), str(number - 1) if number else None))
    assert [bool(store.get(str(number))) for number in range(5)] == [False] * 2 + [True] * 3
    assert store.item("msg_0") is None
    assert texts(store, "4") is None  # its beginning is gone


def test_a_damaged_store_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / RESPONSES.name).write_bytes(b"no database at all" * 100)
    store = Store(FolderRecords(tmp_path))
    store.put(kept("1", None))
    assert texts(Store(FolderRecords(tmp_path)), "1") == ["a", "1"]


def test_a_folder_that_cannot_be_written_fails_what_needs_it_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    store = Store(FolderRecords(tmp_path / "file"))
    with pytest.raises(OSError):
        store.get("1")
