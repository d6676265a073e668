"""What a guest answers that is none of OpenAI's answers."""

import json
from contextlib import suppress
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from llamaedge_launcher.proxy.dialects.anthropic import Messages
from llamaedge_launcher.proxy.dialects.bridge import Json, Translated
from llamaedge_launcher.proxy.errors import ApiError

from .scripted import STREAM, Scripted, whole

ASKED: Json = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]}


class Quiet(Scripted):
    """As the front's own endpoints: an error in an answer that has begun stays in it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(ApiError):
            await super().__call__(scope, receive, send)


@pytest.mark.parametrize("kind", [Scripted, Quiet])
@pytest.mark.parametrize("answer", [{"nonsense": 1}, {"choices": []}, {"choices": 3}, [], None])
def test_another_answer_is_the_guests_fault(kind: type[Scripted], answer: Any) -> None:
    response = kind(answer=answer).post(Messages(), ASKED)
    assert response.status_code == 502
    error = response.json()
    assert (error["type"], error["error"]["type"]) == ("error", "api_error")
    assert "/v1/chat/completions" in error["error"]["message"]


@pytest.mark.parametrize("kind", [Scripted, Quiet])
@pytest.mark.parametrize("event", ["data: 3\n\n", "data: {}\n\n", "data: nonsense\n\n"])
def test_another_event_ends_a_stream_with_an_error(kind: type[Scripted], event: str) -> None:
    chunks = [*STREAM[:3], event, *STREAM[3:]]
    response = kind(chunks=chunks).post(Messages(), ASKED | {"stream": True})
    *_, last = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    assert json.loads(last)["type"] == "error"


@pytest.mark.parametrize(("asked", "told"), [({}, "inner"), ({"mine": 1}, "inner, mine")])
def test_what_the_guest_does_not_know_is_named_beside_what_the_front_does_not(
    asked: Json, told: str
) -> None:
    guest = Scripted(answer=whole({"content": "x"}), headers={"X-Unknown-Fields": "inner"})
    assert guest.post(Messages(), ASKED | asked).headers["x-unknown-fields"] == told


def test_no_more_is_named_than_a_header_should_hold() -> None:
    guest = Scripted(answer=whole({"content": "x"}))
    response = guest.post(Messages(), ASKED | {f"a{n}{'b' * 99}": n for n in range(17)})
    names = response.headers["x-unknown-fields"].split(", ")
    assert (len(names), {len(each) for each in names[:16]}, names[16]) == (17, {64}, "...")


class Failing(Messages):
    """Cannot tell an answer, for a reason that it gives."""

    async def read(self, request: Json) -> Translated:
        made = await super().read(request)

        def answer(found: Json) -> Json:
            raise ApiError(507, "the disk is full", code="storage_failed")

        return Translated(made.path, made.body, made.stream, answer)


def test_what_cannot_be_told_is_told_though_the_endpoint_keeps_it_to_itself() -> None:
    response = Quiet(answer={"choices": []}).post(Failing(), ASKED)
    assert response.status_code == 507
    assert response.json()["error"]["message"] == "the disk is full"
