"""The calls that a model's template writes are read again, however they are cut."""

import json
import subprocess
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from llamaedge_host.ggml.chat.calls import Calls
from llamaedge_host.ggml.chat.conversation import Conversation
from llamaedge_host.ggml.chat.reasoning import thoughts
from llamaedge_host.ggml.chat.renderer import Renderer, TemplateFailure, TemplateRefusal
from llamaedge_host.ggml.chat.template import ChatTemplate

from . import published
from .test_chat_template import Plain

ROOT = Path(__file__).parents[2]
ARGUMENTS = {"city": 'Zürich "<b>"', "days": 2, "code": "a\n  b", "number": "1"}
TEXTS = ["city", "code", "number"]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather",
        "parameters": {
            "type": "object",
            "properties": {
                name: {"type": "string" if name in TEXTS else "integer", "description": name}
                for name in ARGUMENTS
            },
        },
    },
}
USER = {"role": "user", "content": "And the weather?"}
ANSWER = {"role": "assistant", "content": "zqx-answer"}
UNREAD = {
    "HuggingFaceTB-SmolLM3-3B",
    "LFM2.5-Instruct",
    "MiniMax-M3",
    "muse-glimmer",
}
"""Templates with tools whose calls are read as JSON, since their own way cannot be told."""


@pytest.fixture(scope="module")
def templates(request: pytest.FixtureRequest, renderer: Renderer) -> dict[str, ChatTemplate]:
    sources = published.templates(request.config.cache)
    return {
        name: ChatTemplate({"default": source}, Plain(), renderer)
        for name, source in sources.items()
    }


def call(arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"name": "get_weather", "arguments": json.dumps(arguments)}
    return {"id": "abcdefghi", "type": "function", "function": function}


def written(template: ChatTemplate, *messages: Any, cue: bool = False) -> str:
    conversation = {"messages": [*messages], "tools": [TOOL], "add_generation_prompt": cue}
    try:
        return template.write(Conversation.parse(conversation)).text
    except (TemplateRefusal, TemplateFailure):
        return ""


def answer(template: ChatTemplate, calls: Calls, *each: dict[str, Any]) -> str:
    """What the template writes of an assistant's calls, from the first mark to the turn's end."""
    text = written(template, USER, {"role": "assistant", "content": None, "tool_calls": [*each]})
    start = text.find(calls.open or calls.call or '{"name"', text.rfind(USER["content"]))
    stop = written(template, USER, ANSWER).rpartition("zqx-answer")[2].strip()
    mark = calls.close or calls.end
    last = text.rfind("get_weather")
    end = text.find(mark, last) + len(mark) if mark else text.find(stop, start)
    return text[start:end] if start >= 0 else ""


def cases(templates: dict[str, ChatTemplate]) -> Iterator[dict[str, Any]]:
    for name, template in templates.items():
        calls = template.calls() if template.traits().tools else None
        if calls is None or calls.kind in ("harmony", "functionary"):
            continue
        for number, arguments in enumerate(([ARGUMENTS], [ARGUMENTS, {"city": "Rome"}])):
            text = answer(template, calls, *map(call, arguments))
            if text.count("get_weather") < len(arguments):  # the template writes one
                continue
            think = thoughts(template._sources["default"])
            for reasoning in ("", "They ask."):
                before = f"{think[0]}\n{reasoning}\n{think[1]}\n\n" if reasoning else ""
                yield {
                    "model": f"{name} {number + 1} {reasoning}",
                    "calls": calls.as_dict(),
                    "think": think,
                    "texts": TEXTS,
                    "text": before + text,
                    "want": [{"name": "get_weather", "arguments": each} for each in arguments],
                    "reasoning": reasoning,
                }


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = spec_from_file_location("build_hook", ROOT / "wasm" / "build_hook.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(900)
def test_calls_of_published_templates_are_read_in_pieces_of_every_length(
    templates: dict[str, ChatTemplate], hook: ModuleType, tmp_path: Path
) -> None:
    answers = [*cases(templates)]
    models = {each["model"].split()[0] for each in answers}
    assert len(models) > 40
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(answers))
    native = hook.SETTINGS | {"GOOS": "", "GOARCH": ""}
    done = subprocess.run(
        [str(hook.go_command()), "test", "./internal/answer", "-run", "Published", "-count=1"],
        cwd=ROOT / "wasm",
        env=hook.go_environment(**native, LLAMAEDGE_ANSWERS=str(path)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.timeout(900)
def test_what_cannot_be_told_is_known(templates: dict[str, ChatTemplate]) -> None:
    untold = {
        name
        for name, template in templates.items()
        if template.traits().tools and template.calls() is None
    }
    assert untold <= UNREAD
