"""The endpoints of docs/api.md with their examples, and whether a server answers as these show."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from markdown_it import MarkdownIt

from .documented import Names, like, lines_like, request
from .running import START

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
PARIS = "Paris is the capital of France.\n\nIt lies on the Seine.\n"
"""The file that commands upload, paris.txt."""


@dataclass(frozen=True)
class Example:
    """A command and its answer; the ``form`` is json, ndjson or text."""

    command: str
    form: str
    status: int
    answer: str


@dataclass
class Section:
    """A dialect's endpoints with their examples, in their order."""

    title: str
    endpoints: dict[str, list[Example]] = field(default_factory=dict)


def read() -> list[Section]:
    """The document's sections."""
    sections: list[Section] = []
    commands: list[str] = []
    tokens = MarkdownIt().parse(DOCUMENT.read_text())
    for token, inline in zip(tokens, [*tokens[1:], tokens[0]], strict=True):
        if token.type == "heading_open" and token.tag == "h2":
            sections.append(Section(inline.content))
        elif token.type == "heading_open" and token.tag == "h3":
            sections[-1].endpoints[inline.content.replace("`", "")] = []
        elif token.type == "fence" and sections:
            language, _, status = token.info.partition(" ")
            if language in ("bash", "python"):
                commands.append(token.content)
            else:
                _, examples = list(sections[-1].endpoints.items())[-1]
                examples.append(
                    Example(commands.pop(), language, int(status or 200), token.content)
                )
    assert not commands, f"no answer is shown to {commands}"
    return sections


def ask(example: Example, address: str, folder: Path, names: Names) -> str | None:
    """What is wrong with the answer to the example."""
    command = example.command
    for name, value in names.items():
        command = command.replace(name, value)
    if not command.startswith("curl"):
        return _printed(command.replace("127.0.0.1:8080", address.partition("//")[2]), example)
    asked = request(command, address, folder)
    with httpx.Client(timeout=START, trust_env=False) as client:
        deadline = time.monotonic() + START
        while problem := _compared(client.send(asked), example, names):
            if asked.method != "GET" or time.monotonic() > deadline:
                return problem
            time.sleep(0.1)
    return None


def _compared(response: httpx.Response, example: Example, names: Names) -> str | None:
    learnt = dict(names)
    text = response.text
    right = response.status_code == example.status and (
        like(_json(text), json.loads(example.answer), learnt)
        if example.form == "json"
        else lines_like(text, example.answer, learnt)
    )
    if not right:
        return f"{example.command}shows\n{example.answer}and got {response.status_code}\n{text}"
    names.update(learnt)
    return None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _printed(program: str, example: Example) -> str | None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=START
    )
    if done.returncode == 0 and lines_like(done.stdout, example.answer, {}):
        return None
    return f"{program}shows\n{example.answer}and printed\n{done.stdout}{done.stderr}"
