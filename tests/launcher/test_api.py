"""docs/api.md has every endpoint, with an example that is answered as it shows."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.routing import WebSocketRoute

from llamaedge_launcher.proxy.routing import operations

from ..models import tiny
from .conftest import routes
from .documented import Names, request
from .endpoints import DOCUMENT, PARIS, Example, Section, ask, read
from .models.hub import Repo
from .models.hub import running as running_hub
from .running import running

SECTIONS = ["OpenAI", "LlamaEdge", "Anthropic", "Ollama", "llama.cpp", "Management", "WebSocket"]
SERVER = "llamaedge run --embeddings demo"
REPO, MODEL = "ORG/REPO-GGUF", "model-Q4_K_M.gguf"
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


@pytest.mark.parametrize("section", read(), ids=lambda each: each.title)
def test_examples_are_answered_as_they_show(section: Section, address: str, folder: Path) -> None:
    """Each section by itself, so that its commands may follow from one another."""
    names: Names = {}
    examples = [example for each in section.endpoints.values() for example in each]
    problems = [ask(example, address, folder, names) for example in examples]
    assert not any(problems), "\n\n".join(filter(None, problems))
