"""docs/api.md has every endpoint, with an example that is answered as it shows."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from markdown_it import MarkdownIt
from starlette.routing import WebSocketRoute

from llamaedge_launcher.proxy.routing import operations

from ..models import tiny
from .conftest import routes
from .documented import Names, like, lines_like, request
from .models.hub import Repo
from .models.hub import running as running_hub
from .running import START, running

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
SECTIONS = ["OpenAI", "LlamaEdge", "Anthropic", "Ollama", "llama.cpp", "Management", "WebSocket"]
SERVER = "llamaedge run --embeddings demo"
REPO, MODEL = "ORG/REPO-GGUF", "model-Q4_K_M.gguf"
PARIS = "Paris is the capital of France.\n\nIt lies on the Seine.\n"
HOW = """
To docs/api.md add, under the heading of its dialect, for each of them

### {missing}

One sentence.

```bash
curl ... the command ...
```

```json 501
{{"the": "answer", "object": "or what is sure of it"}}
```

The number is the status, if it is not 200. ```text holds events or plain text, ```ndjson lines of
JSON: those lines that are sure to come, in their order. Every field that is shown must be in the
answer, of its type. A value such as "FILE_ID" is remembered, and may stand in later commands of
the section.
"""


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


def endpoints() -> set[str]:
    """What the server has, as /openapi.json writes it, and its WebSockets."""
    sockets = [each.path for each in routes() if isinstance(each, WebSocketRoute)]
    found = {f"{method} {path}" for path, method, _ in operations(routes())}
    found |= {f"WS {path}" for path in sockets if not path.startswith("/{")}
    return {re.sub(r":\w+\}", "}", each) for each in found}


def test_every_endpoint_is_there() -> None:
    told = {name for section in read() for name in section.endpoints}
    missing = sorted(endpoints() - told)
    assert not missing, HOW.format(missing="\n### ".join(missing))


def test_nothing_else_is_there() -> None:
    told = [name for section in read() for name in section.endpoints]
    assert sorted(set(told) - endpoints()) == []
    assert len(told) == len(set(told))


def test_its_contents_are_its_sections() -> None:
    listed = re.findall(r"^- \[(.+)\]\(#(.+)\)$", DOCUMENT.read_text(), re.MULTILINE)
    assert [title for title, _ in listed] == [each.title for each in read()] == SECTIONS
    for title, link in listed:
        assert link == title.lower().replace(".", "")


def asks(example: Example, endpoint: str) -> bool:
    """Whether the example's command is one for ``endpoint``."""
    method, path = endpoint.split()
    if method == "WS":
        return f"ws://127.0.0.1:8080{path}" in example.command
    asked = request(example.command.replace("@", ""), "http://a")
    pattern = "[^?]+".join(map(re.escape, re.split(r"\{\w+\}", path)))
    return asked.method == method and re.fullmatch(pattern, asked.url.path) is not None


def test_every_endpoint_has_an_example_of_its_own() -> None:
    for section in read():
        for name, examples in section.endpoints.items():
            assert any(asks(example, name) for example in examples), name


def test_the_server_is_the_documents() -> None:
    assert f"\n{SERVER}\n" in DOCUMENT.read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the user is who types the commands."""
    folder = tmp_path_factory.mktemp("folder")
    folder.joinpath("paris.txt").write_text(PARIS)
    return folder


@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory, smollm2: Path, minilm: Path, module_cache: Path
) -> Iterator[str]:
    """The server that the document speaks of, with a hub of one model."""
    folder = tmp_path_factory.mktemp("server")
    content = tiny.llama(folder / "tiny.gguf").read_bytes()
    with pytest.MonkeyPatch.context() as patch, running_hub() as hub:
        hub.repos[REPO] = Repo({MODEL: content})
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HUB_CACHE", str(folder / "hub"))
        patch.setenv("HF_HOME", str(folder / "home"))
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        options = SERVER.split()[2:]
        with running(folder, *options, "--ctx-size", "1024", "--parallel", "2") as server:
            yield server.wait_ready()


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


@pytest.mark.parametrize("section", read(), ids=lambda each: each.title)
def test_examples_are_answered_as_they_show(section: Section, address: str, folder: Path) -> None:
    """Each section by itself, so that its commands may follow from one another."""
    names: Names = {}
    examples = [example for each in section.endpoints.values() for example in each]
    problems = [ask(example, address, folder, names) for example in examples]
    assert not any(problems), "\n\n".join(filter(None, problems))
