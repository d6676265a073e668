"""llama.cpp's requests as OpenAI's, and back."""

import asyncio
import base64
import json
import math
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from llamaedge_launcher.proxy.dialects.llama_cpp import (
    Completion,
    CountByAnswering,
    Embedding,
    Infill,
    Renamed,
)

from ...models.pictures import png
from .scripted import LAST, USAGE, Json, Scripted


def token(number: int, text: str, logarithm: float) -> Json:
    row = {"id": number, "token": text, "logprob": logarithm, "bytes": list(text.encode())}
    return {**row, "top_logprobs": [dict(row)]}


def text(*choices: Json, **more: Any) -> Json:
    made = [
        {"index": index, "text": "a\nb", "logprobs": None, "finish_reason": "stop", **choice}
        for index, choice in enumerate(choices)
    ]
    return {"model": "m", "choices": made, "usage": USAGE, "timings": {"predicted_n": 4}, **more}


def asked(dialect: Completion, body: Json) -> Json:
    guest = Scripted(answer=text({}))
    response = guest.post(dialect, body)
    assert response.status_code == 200, response.text
    assert guest.path == "/v1/completions"
    return guest.asked


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"prompt": "a"}, {"prompt": "a"}),
        ({"prompt": [1, "a"]}, {"prompt": [1, "a"]}),
        ({"prompt": {"prompt_string": "a"}}, {"prompt": "a"}),
        ({"prompt": [[1], {"prompt_string": "a"}]}, {"prompt": [[1], "a"]}),
        ({"prompt": "a", "n_predict": 3, "top_k": 2}, {"prompt": "a", "n_predict": 3, "top_k": 2}),
        ({"prompt": "a", "unheard": 1}, {"prompt": "a", "unheard": 1}),
        ({"prompt": "a", "verbose": False}, {"prompt": "a"}),
        ({"prompt": "a", "return_progress": True}, {"prompt": "a", "return_progress": True}),
    ],
    ids=str,
)
def test_a_completion_goes_on_as_it_is(body: Json, expected: Json) -> None:
    told = {"verbose": True, "return_tokens": False}
    assert asked(Completion(), body) == expected | told


@pytest.mark.parametrize("verbosely", [False, True])
def test_files_take_the_places_of_their_markers(verbosely: bool) -> None:
    red, sound = (base64.b64encode(file).decode() for file in (png((9, 9, 9)), b"RIFF" * 9))
    marked = "see <__media__> and hear <__media__> and"
    inside = (
        f'see <img src="data:image/png;base64,{red}"> and hear'
        f' <audio src="data:audio/wav;base64,{sound}"> and'
    )
    prompt = {"prompt_string": marked, "multimodal_data": [red, sound]}
    more = {"__verbose": {"prompt": "<s>" + inside}} if verbosely else {}
    guest = Scripted(answer=text({}, **more))
    answer = guest.post(Completion(), {"prompt": prompt}).json()
    assert guest.asked["prompt"] == inside
    assert answer["prompt"] == ("<s>" if verbosely else "") + marked
    guest.post(Completion(), {"prompt": [[1], prompt]})
    assert guest.asked["prompt"] == [[1], inside]


def test_tokens_are_asked_for_where_they_are_told() -> None:
    assert asked(Completion(), {"prompt": "a", "return_tokens": True})["return_tokens"]
    assert asked(Completion(), {"prompt": "a", "stream": True})["return_tokens"]


def test_a_gap_is_a_suffix() -> None:
    body = {"input_prefix": "a", "input_suffix": "b", "input_extra": [], "n_predict": 1}
    given = asked(Infill(), body)
    assert (given["prompt"], given["suffix"], given["n_predict"]) == ("a", "b", 1)
    assert "input_prefix" not in given


@pytest.mark.parametrize(
    ("dialect", "body", "param"),
    [
        (Completion(), {}, "prompt"),
        (Completion(), {"prompt": 5}, "prompt"),
        (Completion(), {"prompt": {"prompt_string": 5}}, "prompt.prompt_string"),
        (
            Completion(),
            {"prompt": {"prompt_string": "a", "multimodal_data": ["x"]}},
            "prompt.multimodal_data",
        ),
        (
            Completion(),
            {"prompt": {"prompt_string": "a", "multimodal_data": "x"}},
            "prompt.multimodal_data",
        ),
        (
            Completion(),
            {"prompt": {"prompt_string": "<__media__>", "multimodal_data": ['x">' * 9]}},
            "prompt.multimodal_data[0]",
        ),
        (
            Completion(),
            {"prompt": [[1], {"prompt_string": "<__media__>", "multimodal_data": ["A" * 16]}]},
            "prompt[1].multimodal_data[0]",
        ),
        (Completion(), {"prompt": "a", "response_fields": [1]}, "response_fields[0]"),
        (Infill(), {"input_prefix": "a"}, "input_suffix"),
        (Infill(), {"input_prefix": "a", "input_suffix": ""}, "input_suffix"),
        (Infill(), {"input_prefix": "a", "input_suffix": "b", "prompt": "c"}, "prompt"),
        (
            Infill(),
            {"input_prefix": "a", "input_suffix": "b", "input_extra": [{}]},
            "input_extra",
        ),
        (Embedding(), {}, "input"),
    ],
    ids=str,
)
def test_what_cannot_be_is_named(dialect: Completion, body: Json, param: str) -> None:
    response = Scripted().post(dialect, body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_an_answer_is_llama_cpps() -> None:
    body = {"prompt": "p", "n_predict": 3}
    answer = Scripted(answer=text({})).post(Completion(), body).json()
    assert answer == {
        "index": 0, "content": "a\nb", "tokens": [], "stop": True, "model": "m", "prompt": "p",
        "generation_settings": {"n_predict": 3},
        "has_new_line": True, "truncated": False, "stop_type": "eos",
        "tokens_evaluated": 9, "tokens_predicted": 4, "timings": {"predicted_n": 4},
    }  # fmt: skip
    limited = Scripted(answer=text({"finish_reason": "length", "text": "a"}))
    answer = limited.post(Completion(), body).json()
    assert (answer["stop_type"], answer["has_new_line"]) == ("limit", False)
    answer = Scripted(answer=text({})).post(Completion(), body | {"stop": ["x"]}).json()
    assert "stop_type" not in answer


def test_several_answers_are_a_list() -> None:
    answers = Scripted(answer=text({}, {})).post(Completion(), {"prompt": ["a", "b"]}).json()
    assert [answer["index"] for answer in answers] == [0, 1]
    assert "tokens_predicted" not in answers[0], "the counts are of both"


def test_probabilities_and_tokens_are_told() -> None:
    content = [token(7, "a", -0.5), token(8, "b", -1.0)]
    guest = Scripted(answer=text({"logprobs": {"content": content}}))
    plain = guest.post(Completion(), {"prompt": "p", "n_probs": 1}).json()
    assert plain["completion_probabilities"] == content
    assert plain["tokens"] == []
    after = guest.post(
        Completion(), {"prompt": "p", "n_probs": 1, "post_sampling_probs": True}
    ).json()["completion_probabilities"][0]
    assert after["prob"] == pytest.approx(math.exp(-0.5))
    assert after["top_probs"][0]["id"] == 7
    assert "logprob" not in after


def test_fields_of_an_answer_are_picked() -> None:
    fields = ["content", "generation_settings/n_predict", "timings/none"]
    body = {"prompt": "p", "n_predict": 3, "response_fields": fields}
    answer = Scripted(answer=text({})).post(Completion(), body).json()
    assert answer == {"content": "a\nb", "generation_settings/n_predict": 3}


def test_a_stream_ends_with_its_counts() -> None:
    def piece(given: str, finish: str | None = None) -> Json:
        return {"choices": [{"index": 0, "text": given, "finish_reason": finish}]}

    chunks = [piece("a"), piece("\nb"), piece("", "length"), LAST]
    guest = Scripted(chunks=chunks)
    response = guest.post(Completion(), {"prompt": "p", "stream": True})
    assert guest.asked["stream_options"] == {"include_usage": True}
    frames = [
        json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line
    ]
    assert [frame["content"] for frame in frames] == ["a", "\nb", ""]
    assert [frame["stop"] for frame in frames] == [False, False, True]
    assert frames[-1]["stop_type"] == "limit"
    assert frames[-1]["has_new_line"]
    assert frames[-1]["tokens_predicted"] == 4


VERBOSE = {
    "index": 0, "content": "a", "tokens": [7], "stop": True, "prompt": "<s>p",
    "stop_type": "word", "stopping_word": "x", "generation_settings": {"seed": 3},
}  # fmt: skip


def test_a_guest_that_tells_all_is_repeated() -> None:
    body = {"prompt": "p", "stop": ["x"], "return_tokens": True}
    one = Scripted(answer=text({"text": "a", "tokens": [7]}, __verbose=VERBOSE))
    assert one.post(Completion(), body).json() == VERBOSE
    second = {**VERBOSE, "index": 1, "content": "b"}
    choices = [{"text": "a", "__verbose": VERBOSE}, {"text": "b", "__verbose": second}]
    two = Scripted(answer=text(*choices)).post(Completion(), {"prompt": ["p", "q"]})
    assert two.json() == [VERBOSE, second]


def test_a_stream_tells_tokens_progress_and_the_end() -> None:
    def piece(given: str, finish: str | None = None, **more: Any) -> Json:
        return {"index": 0, "text": given, "finish_reason": finish, **more}

    progress = {"total": 9, "cache": 1, "processed": 9, "time_ms": 1.5}
    chunks = [
        {"choices": [piece("")], "prompt_progress": progress},
        {"choices": [piece("a", tokens=[7])], "timings": {"predicted_n": 1}},
        {"choices": [piece("", "stop")], "__verbose": VERBOSE},
        LAST,
    ]
    response = Scripted(chunks=chunks).post(Completion(), {"prompt": "p", "stream": True})
    frames = [json.loads(line[6:]) for line in response.text.splitlines() if line]
    begun: Json = {"index": 0, "content": "", "tokens": [], "stop": False}
    assert frames == [
        {**begun, "prompt_progress": progress},
        {**begun, "content": "a", "tokens": [7], "timings": {"predicted_n": 1}},
        {**VERBOSE, "content": "", "tokens": []},
    ]


def test_embeddings_are_lists_of_vectors() -> None:
    guest = Scripted(answer={"data": [{"index": 0, "embedding": [1.0]}]})
    response = guest.post(Embedding(), {"content": "a", "model": "m", "embd_normalize": 2})
    assert response.json() == [{"index": 0, "embedding": [[1.0]]}]
    assert response.headers["x-unknown-fields"] == "embd_normalize"
    assert (guest.path, guest.asked) == ("/v1/embeddings", {"input": "a", "model": "m"})


async def renamed(path: str, *headers: tuple[bytes, bytes]) -> Scope:
    """What an application sees of a request to ``path`` without its version."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None: ...

    scope = {"type": "http", "path": "/x", "raw_path": b"/x", "method": "POST"}
    await Renamed(app, path)({**scope, "headers": [*headers]}, receive, send)
    return seen[0]


def test_a_path_without_its_version_is_the_same() -> None:
    seen = asyncio.run(renamed("/v1/x"))
    assert (seen["path"], seen["raw_path"], seen["method"]) == ("/v1/x", b"/v1/x", "POST")
    assert seen["headers"] == []


def test_a_chat_without_version_is_llama_cpps_unless_it_says_otherwise() -> None:
    path, dialect = "/v1/chat/completions", (b"x-dialect", b"llama.cpp")
    given = asyncio.run(renamed(path))["headers"]
    assert given == [(b"x-truncation", b"disabled"), dialect]
    own = (b"x-truncation", b"auto")
    assert asyncio.run(renamed(path, own))["headers"] == [own, dialect]


def test_a_guest_that_cannot_count_reads_instead() -> None:
    guest = Scripted(answer={"choices": [], "usage": USAGE})
    body = {"messages": [{"role": "user", "content": "a"}], "stream": True, "n": 3}
    answer = guest.post(CountByAnswering(), body).json()
    assert answer == {"object": "response.input_tokens", "input_tokens": 9}
    assert guest.path == "/v1/chat/completions"
    assert guest.asked == {"messages": body["messages"], "max_tokens": 1}
