"""Errors of the host reach the client of the bundled guest in words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from models import tiny

from .private import serving

HI = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def server(guest: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    model = tiny.llama(tmp_path_factory.mktemp("model") / "tiny.gguf")
    with serving(guest, model, "--prompt-template", "chatml-tool", "--ctx-size", "256") as client:
        yield client


def refused(server: httpx.Client, body: dict[str, Any], path: str = "chat/completions") -> Any:
    answer = server.post(f"/v1/{path}", json=body)
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]


def schema(text: dict[str, Any]) -> dict[str, Any]:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": text}}
    return {**HI, "response_format": form}


def test_a_bad_schema_is_named_with_its_reason(server: httpx.Client) -> None:
    error = refused(server, schema({"$ref": "#/$defs/nowhere"}))
    assert error["param"] == "response_format.json_schema.schema"
    assert "nowhere" in error["message"]
    assert server.post("/v1/chat/completions", json={**HI, "max_tokens": 2}).status_code == 200


def test_a_bad_schema_of_a_tool_is_named_with_its_reason(server: httpx.Client) -> None:
    function = {"name": "f", "parameters": {"$ref": "#/$defs/nowhere"}}
    tools = {"tools": [{"type": "function", "function": function}], "tool_choice": "required"}
    error = refused(server, {**HI, **tools})
    assert error["param"] == "tools"
    assert "nowhere" in error["message"]


@pytest.mark.parametrize(
    ("words", "size"), [(300, " tokens, "), (100_000, " bytes, ")], ids=["counted", "uncounted"]
)
def test_a_prompt_too_long_is_told_with_both_numbers(
    server: httpx.Client, words: int, size: str
) -> None:
    text = "the " * words
    for error in (
        refused(server, {"messages": [{"role": "user", "content": text}]}),
        refused(server, {"prompt": text}, "completions"),
    ):
        assert error["code"] == "context_length_exceeded"
        before, _, after = error["message"].partition(size)
        assert int(before.split()[-1]) >= words
        assert "256 tokens" in after
