"""What is made right of LlamaEdge's own servers, before a scripted guest that does as they do."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_launcher.fleet.recipe import Model
from llamaedge_launcher.proxy import client
from llamaedge_launcher.proxy.app import create_app
from llamaedge_launcher.proxy.guest_api import CHAT
from llamaedge_launcher.proxy.official.stop import Stop
from llamaedge_launcher.settings import Settings

from .asgi import post
from .conftest import Loading

COMPLETIONS = "/v1/completions"
JSON = [(b"content-type", b"application/json")]
EVENTS = [(b"content-type", b"text/event-stream")]
FULL = "<|WASMEDGE-GGML-CONTEXT-FULL|>"
USAGE = {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}
USER = {"role": "user", "content": "hello"}
DONE = b"data: [DONE]\n\n"


class Guest:
    """A transport whose guest answers with these parts, and remembers what it was asked."""

    def __init__(self, *parts: bytes, status: int = 200, headers: Any = JSON) -> None:
        self.parts = list(parts)
        self.status = status
        self.headers = headers
        self.head = ""
        self.body = b""
        self.stopped = False

    def check(self, wanted: object) -> None: ...

    @asynccontextmanager
    async def send(self, request: bytes, **_: Any) -> AsyncIterator["Guest"]:
        head, _, self.body = request.partition(b"\r\n\r\n")
        self.head = head.decode()
        try:
            yield self
        finally:
            self.stopped = bool(self.parts)

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        return self.parts.pop(0) if self.parts else b""

    @property
    def asked(self) -> Any:
        """The body that it got."""
        return json.loads(self.body)


def ask(
    guest: Guest,
    folder: Path,
    path: str = CHAT,
    body: bytes | None = None,
    kind: str = "application/json",
    most: int = 1_000_000,
    strict: bool = False,
    **fields: Any,
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of the answer to a POST."""
    app = create_app(
        guest,  # type: ignore[arg-type]
        Loading(),
        Settings(data_dir=folder, official=True, max_body_size=most, strict_model=strict),
        known_only=False,
        local=True,
    )
    data = json.dumps(fields).encode() if body is None else body
    return post(app, path, data, [(b"content-type", kind.encode())])


def chat(guest: Guest, folder: Path, **fields: Any) -> Any:
    """The whole answer to a chat request, if it is none of failure."""
    status, headers, body = ask(guest, folder, **{"messages": [USER], **fields})
    assert status == 200, body
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"content-length"] == b"%d" % len(body)
    return json.loads(body)


def stream(guest: Guest, folder: Path, **fields: Any) -> list[Any]:
    """The chunks of a stream that ends as it must."""
    fields = {"messages": [USER], "stream": True, **fields}
    status, headers, body = ask(guest, folder, **fields)
    assert status == 200, body
    assert headers[b"content-type"] == b"text/event-stream"
    assert b"content-length" not in headers
    *frames, done, rest = body.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    return [json.loads(each.removeprefix(b"data: ")) for each in frames if each[:1] != b":"]


def refused(folder: Path, path: str = CHAT, **fields: Any) -> Any:
    """The error object of a request that the guest does not see."""
    guest = Guest()
    status, _, body = ask(guest, folder, path, **fields)
    assert status == 400
    assert guest.head == ""
    return json.loads(body)["error"]


def whole(text: str | None, reason: str = "stop", **message: Any) -> bytes:
    message = {"role": "assistant", "content": text, **message}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    found = {"id": "i", "object": "chat.completion", "created": 1, "model": "m"}
    return json.dumps(found | {"choices": [choice], "usage": USAGE}).encode()


def chunk(text: str | None, reason: str | None = None) -> bytes:
    delta = {"role": "assistant", "content": text}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    found = {"id": "i", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps(found | {"choices": [choice]}).encode() + b"\n\n"


def counts() -> bytes:
    found = {"id": "i", "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
    return b"data: " + json.dumps(found).encode() + b"\n\n"


def streaming(*texts: str, end: bytes = DONE) -> Guest:
    return Guest(*map(chunk, texts), end, headers=EVENTS)


def text_of(chunks: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or "" for each in chunks for choice in each["choices"]
    )


def reasons(chunks: list[Any]) -> list[str]:
    """The finish reasons, of which the last chunk with a choice has the only one."""
    found = [choice["finish_reason"] for each in chunks for choice in each["choices"]]
    assert found[:-1] == [None] * (len(found) - 1)
    return found[-1:]


def test_a_stream_ends_with_a_reason(tmp_path: Path) -> None:
    chunks = stream(streaming("a", "b"), tmp_path)
    assert text_of(chunks) == "ab"
    assert reasons(chunks) == ["stop"]
    assert {each["id"] for each in chunks} == {"i"}


def test_a_stream_that_breaks_off_quietly_is_ended(tmp_path: Path) -> None:
    chunks = stream(streaming("a", end=b""), tmp_path)
    assert (text_of(chunks), reasons(chunks)) == ("a", ["stop"])


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_stream_has_no_more_tokens_than_asked_for(tmp_path: Path, name: str) -> None:
    guest = streaming("a", "b", *("c" for _ in range(200)))
    chunks = stream(guest, tmp_path, **{name: 2})
    assert (text_of(chunks), reasons(chunks)) == ("ab", ["length"])
    assert guest.stopped
    assert "x-llamaedge-limit: 2" in guest.head.lower()
    assert guest.asked["max_tokens"] == 2
    assert "max_completion_tokens" not in guest.asked  # which releases before 0.15 refuse


def test_a_client_cannot_set_the_hosts_limit(tmp_path: Path) -> None:
    guest = streaming("a")
    stream(guest, tmp_path, max_tokens=-1)
    assert "x-llamaedge-limit" not in guest.head.lower()
    assert "max_tokens" not in guest.asked


@pytest.mark.parametrize(
    ("texts", "stop", "left"),
    [
        (("one", " two", " three"), " two", "one"),
        (("on", "e t", "wo thr", "ee"), ["three", "two"], "one "),
        (("a", "b", "a", "c"), "ac", "ab"),
        (("aab",), ["ab"], "a"),
        (("one ", "tw"), "two", "one tw"),
    ],
)
def test_a_stream_ends_before_a_stop_text(
    tmp_path: Path, texts: tuple[str, ...], stop: Any, left: str
) -> None:
    guest = streaming(*texts)
    chunks = stream(guest, tmp_path, stop=stop)
    assert (text_of(chunks), reasons(chunks)) == (left, ["stop"])
    assert guest.asked["stop"] == ([stop] if isinstance(stop, str) else stop)


@given(st.lists(st.text("ab", max_size=4)), st.lists(st.text("ab", min_size=1, max_size=3)))
def test_pieces_stop_where_the_text_does(pieces: list[str], texts: list[str]) -> None:
    whole_text = "".join(pieces)
    found = [at for each in texts if (at := whole_text.find(each)) >= 0]
    stop = Stop(texts)
    sent = "".join(map(stop.feed, pieces)) + stop.rest()
    assert stop.found == bool(found)
    if not found:
        assert sent == whole_text
    else:
        ends = [at for each in texts if (at := whole_text.find(each)) >= 0]
        assert sent in [whole_text[:at] for at in ends]


def test_a_stream_tells_its_counts_if_asked(tmp_path: Path) -> None:
    options = {"include_usage": True}
    guest = Guest(chunk("a"), chunk("b"), counts(), DONE, headers=EVENTS)
    chunks = stream(guest, tmp_path, stream_options=options)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == USAGE
    assert reasons(chunks) == ["stop"]
    guest = Guest(*map(chunk, "abcd"), counts(), DONE, headers=EVENTS)
    chunks = stream(guest, tmp_path, stream_options=options, max_tokens=2)
    assert text_of(chunks) == "ab"
    told = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    assert chunks[-1]["usage"] == told


@pytest.mark.parametrize("reason", [None, "length"])
def test_their_sentinel_is_a_reason_and_no_text(tmp_path: Path, reason: str | None) -> None:
    guest = Guest(chunk("a"), chunk(FULL, reason), DONE, headers=EVENTS)
    chunks = stream(guest, tmp_path)
    assert (text_of(chunks), reasons(chunks)) == ("a", ["length"])
    answer = chat(Guest(whole("a" + FULL)), tmp_path)
    assert answer["choices"][0]["message"]["content"] == "a"
    assert answer["choices"][0]["finish_reason"] == "length"


def test_a_prompt_that_is_too_long_is_refused(tmp_path: Path) -> None:
    guest = Guest(chunk(None, "length"), DONE, headers=EVENTS)
    status, _, body = ask(guest, tmp_path, messages=[USER], stream=True)
    assert (status, json.loads(body)["error"]["code"]) == (400, "context_length_exceeded")
    said = b"Failed to compute the chat completion. Reason: Prompt too long"
    status, _, body = ask(Guest(said, status=500, headers=[]), tmp_path, messages=[USER])
    assert (status, json.loads(body)["error"]["code"]) == (400, "context_length_exceeded")


def test_line_breaks_of_unicode_are_escaped(tmp_path: Path) -> None:
    text = "a\u2028b\u2029c\u0085dä"
    guest = Guest(chunk(text).replace(b"\\u2028", "\u2028".encode()), DONE, headers=EVENTS)
    _, _, body = ask(guest, tmp_path, messages=[USER], stream=True)
    assert len(body.decode().splitlines()) == body.count(b"\n")
    assert text_of(stream(streaming(text), tmp_path)) == text
    assert "ä".encode() in body


def test_a_whole_answer_has_a_type_and_a_reason(tmp_path: Path) -> None:
    answer = chat(Guest(whole("hello"), headers=[]), tmp_path)
    assert answer["choices"][0]["message"]["content"] == "hello"
    assert answer["choices"][0]["finish_reason"] == "stop"
    answer = chat(Guest(whole("hello")), tmp_path, max_tokens=4)
    assert answer["choices"][0]["finish_reason"] == "length"
    answer = chat(Guest(whole("one two")), tmp_path, stop=["two"])
    assert answer["choices"][0]["message"]["content"] == "one "
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    answer = chat(Guest(whole(None, "tool_calls", tool_calls=calls)), tmp_path)
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert answer["choices"][0]["message"]["tool_calls"] == calls


def test_a_guest_that_does_not_stream_is_streamed(tmp_path: Path) -> None:
    guest = Guest(whole("one two"), headers=[])
    chunks = stream(guest, tmp_path, stop="two", stream_options={"include_usage": True})
    assert (text_of(chunks), reasons(chunks)) == ("one ", ["stop"])
    assert chunks[0]["object"] == "chat.completion.chunk"
    assert chunks[-1]["usage"] == USAGE
    found = {"id": "i", "object": "text_completion", "choices": [{"index": 0, "text": "one"}]}
    guest = Guest(json.dumps(found).encode())
    status, _, body = ask(guest, tmp_path, COMPLETIONS, prompt="p", stream=True)
    first, last, done = body.removesuffix(b"\n\n").split(b"\n\n")
    assert json.loads(first[6:])["choices"][0]["text"] == "one"
    assert json.loads(last[6:])["choices"][0]["finish_reason"] == "stop"
    assert (status, done) == (200, b"data: [DONE]")
    assert "stream" not in guest.asked
    assert guest.asked["prompt"] == ["p"]


def test_a_whole_answer_after_a_comment_is_streamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "BEAT", 0.01)

    class Slow(Guest):
        async def read(self) -> bytes:
            await asyncio.sleep(0.1)
            return await super().read()

    chunks = stream(Slow(whole("one two"), headers=[]), tmp_path)
    assert (text_of(chunks), reasons(chunks)) == ("one two", ["stop"])


@pytest.mark.parametrize(
    ("path", "fields"),
    [(CHAT, {"messages": [USER]}), (COMPLETIONS, {"prompt": "p"}), ("/v1/audio/speech", {})],
)
def test_a_plain_error_becomes_an_object(tmp_path: Path, path: str, fields: Any) -> None:
    lines = {b"content-type": b"text/plain", b"retry-after": b"7", b"content-language": b"x"}
    guest = Guest(b"no ", b"luck\n", status=503, headers=list(lines.items()))
    status, found, body = ask(guest, tmp_path, path, **fields)
    assert status == 503
    assert json.loads(body)["error"]["message"] == "no luck"
    assert found[b"retry-after"] == b"7"
    assert found[b"content-length"] == b"%d" % len(body)
    assert b"content-language" not in found


def test_an_error_in_a_stream_ends_it(tmp_path: Path) -> None:
    guest = Guest(chunk("a"), b"data: no luck\n\n", DONE, headers=EVENTS)
    _, _, body = ask(guest, tmp_path, messages=[USER], stream=True)
    last = body.removesuffix(b"\n\n").split(b"\n\n")[-1]
    assert json.loads(last.removeprefix(b"data: "))["error"]["message"] == "no luck"


def test_what_they_take_otherwise_is_told_their_way(tmp_path: Path) -> None:
    guest = Guest(whole("x"))
    messages = [
        {"role": "developer", "content": [{"type": "text", "text": "a"}]},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
        {"role": "assistant", "content": None, "tool_calls": [], "refusal": None},
    ]
    tools = [{"type": "function", "function": {"name": "f"}}]
    chat(guest, tmp_path, messages=messages, tools=tools, temperature=None, model="m")
    assert guest.asked["messages"] == [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "bc"},
        {"role": "assistant", "tool_calls": []},
    ]
    assert guest.asked["tool_choice"] == "auto"
    assert "temperature" not in guest.asked
    assert guest.asked["model"] == "m"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": "text"}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [5]}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "user", "content": [{"type": "x"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"model": 5}, "model"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"stream": "yes"}, "stream"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": 2**40}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"stop": [1]}, "stop"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_what_would_end_them_or_do_nothing_is_refused(
    tmp_path: Path, fields: dict[str, Any], param: str
) -> None:
    assert refused(tmp_path, **{"messages": [USER], **fields})["param"] == param


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (COMPLETIONS, {"prompt": [[1, 2]]}),
        (COMPLETIONS, {"prompt": 5}),
        (COMPLETIONS, {"prompt": ["a", "b"]}),
        ("/v1/audio/transcriptions", {"kind": "multipart/form-data", "body": b"x"}),
    ],
)
def test_other_endpoints_are_guarded_too(tmp_path: Path, path: str, fields: Any) -> None:
    refused(tmp_path, path, **fields)


def test_an_unknown_model_is_refused_if_that_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Model("mine", "org/mine", "chat", tmp_path)

    async def models(_: Loading) -> list[Model]:
        return [mine]

    monkeypatch.setattr(Loading, "models", models)
    for strict, name, status in (
        (True, "mine", 200),
        (True, "org/mine", 200),
        (True, "default", 200),
        (True, "gpt-3.5-turbo", 404),
        (False, "gpt-3.5-turbo", 200),
    ):
        fields = {"messages": [USER], "model": name, "strict": strict}
        found, _, body = ask(Guest(whole("x")), tmp_path, **fields)
        assert found == status
        assert status == 200 or json.loads(body)["error"]["code"] == "model_not_found"


def test_a_body_counts_once(tmp_path: Path) -> None:
    fields = {"messages": [{"role": "user", "content": "x" * 600}], "most": 1000}
    assert ask(Guest(whole("x")), tmp_path, **fields)[0] == 200
    fields["messages"] *= 2
    assert ask(Guest(whole("x")), tmp_path, **fields)[0] == 413


@pytest.mark.parametrize(
    "path", ["/v1/audio/transcriptions", "/v1/images/edits", "/v1/moderations", "/own"]
)
def test_what_they_can_answer_is_passed_on(tmp_path: Path, path: str) -> None:
    guest = Guest(b"hello", headers=[(b"content-type", b"text/plain")])
    kind = "multipart/form-data; boundary=x"
    assert ask(guest, tmp_path, path, body=b"--x", kind=kind)[0] == 200
    assert guest.body == b"--x"
