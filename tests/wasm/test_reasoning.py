"""The bundled guest's reasoning: its budget, and where it is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from models import tiny

from .private import serving

SETTINGS = ("--ctx-size", "512", "--threads", "1", "--temp", "0", "--repeat-penalty", "1")
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}<think>\n"
USER = {"role": "user", "content": "What is the sea?"}
END = "</think>"
BUDGETS = ("reasoning_budget", "reasoning_budget_tokens", "thinking_budget_tokens")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("model") / "tiny.gguf", template=TEMPLATE)


@pytest.fixture(scope="module")
def client(guest: Path, model: Path) -> Iterator[httpx.Client]:
    with serving(guest, model, *SETTINGS) as client:
        yield client


def ask(client: httpx.Client, **more: Any) -> httpx.Response:
    body = {"messages": [USER], "max_tokens": 30, "ignore_eos": True, **more}
    return client.post("/v1/chat/completions", json=body)


def parts(client: httpx.Client, **more: Any) -> tuple[str, str]:
    """The reasoning and the content, which a stream has as well."""
    reply = ask(client, **more)
    assert reply.status_code == 200, reply.text
    message = reply.json()["choices"][0]["message"]
    found = message.get("reasoning_content", ""), message["content"] or ""
    lines = ask(client, stream=True, **more).text.splitlines()
    frames = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    deltas = [choice["delta"] for frame in frames for choice in frame["choices"]]
    streamed = [
        "".join(delta.get(name) or "" for delta in deltas)
        for name in ("reasoning_content", "content")
    ]
    assert tuple(streamed) == found
    return found


@pytest.mark.parametrize("field", BUDGETS)
def test_a_budget_ends_reasoning_and_the_answer_follows(client: httpx.Client, field: str) -> None:
    free, nothing = parts(client)
    assert free
    assert not nothing
    thought, said = parts(client, **{field: 6})
    assert thought
    assert said
    assert free.startswith(thought)
    assert len(thought) < len(free)
    assert parts(client, **{field: -1}) == (free, "")
    thought, said = parts(client, **{field: 0})
    assert not thought
    assert said


def test_reasoning_stays_in_the_answer_if_that_is_asked_for(client: httpx.Client) -> None:
    thought, said = parts(client, reasoning_budget=6)
    nothing, whole = parts(client, reasoning_budget=6, reasoning_format="none")
    assert not nothing
    assert [each.strip() for each in whole.split(END)] == [thought, said.strip()]
    for name in "auto", "deepseek":
        assert parts(client, reasoning_budget=6, reasoning_format=name) == (thought, said)
    reply = ask(client, reasoning_format="upside-down")
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "reasoning_format"


@pytest.mark.parametrize("value", [-2, 1.5, "many"])
def test_what_is_no_budget_is_refused(client: httpx.Client, value: Any) -> None:
    reply = ask(client, reasoning_budget=value)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "reasoning_budget"


def test_the_server_may_say_both(client: httpx.Client, guest: Path, model: Path) -> None:
    wanted = parts(client, reasoning_budget=5, reasoning_format="none")
    given = ("--reasoning-budget", "5", "--reasoning-format", "none")
    with serving(guest, model, *SETTINGS, *given) as other:
        assert parts(other) == wanted
        assert parts(other, reasoning_format="auto") == parts(client, reasoning_budget=5)
        assert parts(other, reasoning_budget=-1, reasoning_format="auto") == parts(client)


def test_a_named_template_has_budgets_but_no_effort(
    client: httpx.Client, guest: Path, model: Path
) -> None:
    with serving(guest, model, *SETTINGS, "--prompt-template", "exaone-deep-chat") as named:
        free, thought = (parts(named, reasoning_budget=budget)[0] for budget in (-1, 6))
        assert free.startswith(thought)
        assert 0 < len(thought) < len(free)
        reply = ask(named, reasoning_effort="low")
        assert reply.status_code == 200
        assert reply.headers["X-Unknown-Fields"] == "reasoning_effort"
        reply = ask(named, reasoning_effort="none")
        assert reply.status_code == 400
        assert reply.json()["error"]["param"] == "reasoning_effort"
    reply = ask(client, reasoning_effort="low")
    assert (reply.status_code, reply.headers["X-Unknown-Fields"]) == (200, "reasoning_effort")
