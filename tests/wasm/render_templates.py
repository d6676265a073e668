"""Renders published chat templates: the referee of the guest's prompts.

usage: render_templates.py FOLDER

FOLDER has the Jinja templates of the models' authors, each in a file NAME.jinja where NAME is
the one that --prompt-template takes. The prompts go to golden.json among the guest's test data,
without the beginning-of-sequence token that the model's tokeniser adds by itself.
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from jinja2.ext import LoopControlExtension
from jinja2.sandbox import ImmutableSandboxedEnvironment

TESTDATA = Path(__file__).parents[2] / "wasm" / "internal" / "prompt" / "testdata"
DATE = "2026-11-22"
EOS = {
    "deepseek-chat": "<\uff5cend▁of▁sentence\uff5c>",
    "deepseek-chat-2": "<\uff5cend▁of▁sentence\uff5c>",
    "stablelm-zephyr": "<|endoftext|>",
}
WITH_TOOLS = {
    *("llama-3-tool", "mistral-tool", "chatml-tool", "functionary-31", "functionary-32"),
    *("qwen3-agent", "qwen3-no-think", "gpt-oss"),
}
"""Templates whose own tool turns are the referee."""
ONLY_TOOLS = {"chatml-tool"}
"""Templates that are not for a conversation without tools."""
SETTINGS: dict[str, dict[str, Any]] = {
    "qwen3-no-think": {"enable_thinking": False},
    "smol3-no-think": {"enable_thinking": False},
    "seed-oss-no-think": {"thinking_budget": 0},
}
"""What templates are told besides the conversation."""
TEXT_ARGUMENTS = {"functionary-32"}
"""Templates that take a call's arguments as JSON text."""


def refuse(message: str) -> None:
    """What a template calls for a conversation it does not take."""
    raise TemplateError(message)


def to_json(value: Any, indent: int | None = None) -> str:
    """The filter tojson as transformers has it."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def render(name: str, source: str, conversation: dict[str, Any]) -> str:
    """The prompt; raises TemplateError where the template does not take the conversation."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[LoopControlExtension]
    )
    environment.filters["tojson"] = to_json
    environment.filters["safe"] = str
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda layout: DATE
    messages = copy.deepcopy(conversation["messages"])
    if name in TEXT_ARGUMENTS:
        for message in messages:
            for call in message.get("tool_calls", []):
                call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
    values = {"messages": messages, "add_generation_prompt": True, "bos_token": "<s>"}
    if "tools" in conversation:
        values["tools"] = conversation["tools"]
    elif "functionary" in name:
        values["tools"] = []
    values |= SETTINGS.get(name, {})
    prompt = environment.from_string(source).render(**values, eos_token=EOS.get(name, "</s>"))
    return prompt.removeprefix("<s>")


def main(folder: Path) -> None:
    """Write golden.json."""
    conversations = json.loads((TESTDATA / "conversations.json").read_text())
    golden: dict[str, dict[str, str]] = {}
    for file in sorted(folder.glob("*.jinja")):
        name = file.stem
        golden[name] = {}
        for case, conversation in conversations.items():
            tools = "tools" in conversation
            if name not in (WITH_TOOLS if tools else golden.keys() - ONLY_TOOLS):
                continue
            try:
                golden[name][case] = render(name, file.read_text(), conversation)
            except TemplateError as error:
                sys.stderr.write(f"{name} does not take {case}: {error}\n")
    text = json.dumps(golden, ensure_ascii=False, indent=1)
    (TESTDATA / "golden.json").write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
