"""The bundled guest with the model's own template, which the host writes out."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from models import tiny

from .private import serving
from .serving import command

SETTINGS = ("--ctx-size", "512", "--threads", "1", "--temp", "0")
SYSTEM = {"role": "system", "content": "You are terse."}
USER = {"role": "user", "content": "What is the capital of France?"}
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' or 'rules' in m.content %}"
    "{{ raise_exception('No rules here.') }}"
    "{% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}{{ mood }}"
    "{% if tools %}{{ tools | tojson }}{% endif %}"
)


@pytest.fixture(scope="module")
def own(guest: Path, smollm2: Path) -> Iterator[httpx.Client]:
    with serving(guest, smollm2, *SETTINGS) as client:
        yield client


@pytest.fixture(scope="module")
def given(guest: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    model = tiny.llama(tmp_path_factory.mktemp("model") / "tiny.gguf")
    with serving(guest, model, *SETTINGS, "--chat-template", TEMPLATE) as client:
        yield client


def chat(client: httpx.Client, *messages: Any, **more: Any) -> httpx.Response:
    return client.post(
        "/v1/chat/completions", json={"messages": messages, "max_tokens": 12, **more}
    )


def said(reply: httpx.Response) -> tuple[str, int]:
    assert reply.status_code == 200, reply.text
    body = reply.json()
    return body["choices"][0]["message"]["content"], body["usage"]["prompt_tokens"]


def test_a_long_conversation_loses_its_oldest_turns_by_either_template(
    own: httpx.Client, guest: Path, smollm2: Path
) -> None:
    turns = [
        {"role": role, "content": f"{number} " + "and the sea " * (number % 7)}
        for number in range(40)
        for role in ("user", "assistant")
    ]
    with serving(guest, smollm2, *SETTINGS, "--prompt-template", "chatml") as named:
        replies = [chat(client, SYSTEM, *turns, USER) for client in (own, named)]
    dropped = {int(reply.headers["x-dropped-messages"]) for reply in replies}
    tokens = {said(reply)[1] for reply in replies}
    assert len(dropped) == len(tokens) == 1
    kept = turns[dropped.pop() :]
    of_the_next = said(chat(own, *turns[-len(kept) - 2 : -len(kept)]))[1]
    assert 512 * 4 / 5 - of_the_next < tokens.pop() <= 512 * 4 / 5


def test_the_own_template_answers_as_the_named_one(
    own: httpx.Client, guest: Path, smollm2: Path
) -> None:
    with serving(guest, smollm2, *SETTINGS, "--prompt-template", "chatml") as named:
        for messages in (
            [SYSTEM, USER],
            [SYSTEM, USER, {"role": "assistant", "content": "Oh"}, USER],
        ):
            assert said(chat(own, *messages)) == said(chat(named, *messages))
        assert named.get("/v1/info").json()["chat_model"]["prompt_template"] == "chatml"
    assert own.get("/v1/info").json()["chat_model"]["prompt_template"] == "auto"


def test_control_tokens_in_a_text_cost_what_text_costs(own: httpx.Client) -> None:
    _, plain = said(chat(own, SYSTEM, {"role": "user", "content": "ab"}))
    _, spelt = said(chat(own, SYSTEM, {"role": "user", "content": "a<|im_end|>b"}))
    assert spelt > plain + 3


def test_an_answer_is_gone_on_with(own: httpx.Client) -> None:
    begun = {"role": "assistant", "content": "The capital of France is"}
    text, _ = said(chat(own, SYSTEM, USER, begun, continue_final_message=True))
    assert "Paris" in text


def test_a_long_conversation_is_trimmed(own: httpx.Client) -> None:
    turns = [USER, {"role": "assistant", "content": "Paris it is, as ever."}] * 60
    reply = chat(own, SYSTEM, *turns, USER)
    _, tokens = said(reply)
    assert int(reply.headers["X-Dropped-Messages"]) > 60
    assert tokens <= 512 * 4 / 5


def test_a_template_without_tools_is_told_of_them(own: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"n": {"enum": [7]}}, "required": ["n"]}
    tool = {"type": "function", "function": {"name": "count", "parameters": schema}}
    _, without = said(chat(own, USER))
    reply = chat(own, USER, tools=[tool], tool_choice="required", max_tokens=60)
    assert reply.status_code == 200, reply.text
    body = reply.json()
    [call] = body["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "count"
    assert body["usage"]["prompt_tokens"] > without + 60


def test_what_a_template_says_against_a_conversation_reaches_the_client(
    given: httpx.Client,
) -> None:
    reply = chat(given, {"role": "user", "content": "What are the rules?"})
    assert reply.status_code == 400
    assert "No rules here." in reply.json()["error"]["message"]
    assert chat(given, USER).status_code == 200


def test_a_system_turn_that_a_template_refuses_is_the_users(given: httpx.Client) -> None:
    _, without = said(chat(given, USER))
    _, tokens = said(chat(given, SYSTEM, USER))
    assert tokens > without + 5


def test_a_templates_own_settings_reach_it(given: httpx.Client) -> None:
    _, plain = said(chat(given, USER))
    _, more = said(chat(given, USER, chat_template_kwargs={"mood": "the sea " * 8}))
    assert more > plain + 8


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ((), "has no chat template of its own; name one with --prompt-template"),
        (("--chat-template", "{% if %}"), "the chat template cannot be used: line 1"),
    ],
)
def test_a_template_that_is_not_there_or_broken_is_one_clear_error(
    guest: Path, tmp_path: Path, more: tuple[str, ...], why: str
) -> None:
    model = tiny.llama(tmp_path / "tiny.gguf")
    done = subprocess.run(
        command(guest, model, *SETTINGS, *more), capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 1
    assert why in done.stderr
    assert "Traceback" not in done.stderr
