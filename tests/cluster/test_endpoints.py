"""Every endpoint of docs/api.md is answered by replicas as by one server, or refused in one way."""

import re
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from ..launcher.documented import Names, request
from ..launcher.endpoints import PARIS, Example, Section, ask, read
from ..launcher.models.hub import Hub, Repo
from .conftest import PATIENCE, App

pytestmark = pytest.mark.timeout(600)

_MODELS = (403, "models are what the application's configuration says")
REFUSED: Mapping[str, tuple[int, str]] = {
    "POST /api/models/load": _MODELS,
    "POST /api/models/unload": _MODELS,
    "POST /api/models/pull": _MODELS,
    "DELETE /api/models/{name}": _MODELS,
    "POST /api/pull": _MODELS,
    "DELETE /api/delete": _MODELS,
    "POST /lora-adapters": (501, "replicas come and go with the scales of the configuration"),
}
"""What replicas do not do, by the endpoint: the status, and how the message begins."""

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"


def test_what_is_refused_is_on_the_page() -> None:
    told = re.findall(r"^\| `([A-Z]+ /\S+)` \| (\d{3})", PAGE.read_text(), re.MULTILINE)
    assert dict(told) == {name: str(status) for name, (status, _) in REFUSED.items()}
    assert REFUSED.keys() <= {name for section in read() for name in section.endpoints}


@pytest.fixture(scope="module")
def served(app: App, hub: Hub, minilm: Path) -> App:
    """The server that the document speaks of, as two replicas."""
    hub.repos["ORG/REPO-GGUF"] = Repo({"model-Q4_K_M.gguf": b""})
    app.deploy(embeddings="demo", num_replicas=2)
    return app


@pytest.mark.parametrize("section", read(), ids=lambda each: each.title)
def test_replicas_answer_what_one_server_does(
    section: Section, served: App, tmp_path: Path
) -> None:
    tmp_path.joinpath("paris.txt").write_text(PARIS)
    names: Names = {}
    problems = [
        refused(each, served.url, REFUSED[name], tmp_path)
        if name in REFUSED
        else ask(each, served.url, tmp_path, names)
        for name, examples in section.endpoints.items()
        for each in examples
    ]
    assert not any(problems), "\n\n".join(filter(None, problems))


def refused(example: Example, address: str, expected: tuple[int, str], folder: Path) -> str | None:
    """What is wrong with the refusal of the example, in the one shape or in Ollama's."""
    status, message = expected
    with httpx.Client(timeout=PATIENCE, trust_env=False) as client:
        answer = client.send(request(example.command, address, folder))
    error = answer.json()["error"]
    said = error["message"] if isinstance(error, dict) else error
    if (answer.status_code, said[: len(message)]) == (status, message):
        return None
    return f"{example.command}is refused by {status}, {message!r}, and got {answer.text}"


def test_slots_are_those_of_all_replicas(served: App) -> None:
    slots = served.client.get("/slots").json()
    assert [each["id"] for each in slots] == [*range(4)]
    assert len({each["replica"] for each in slots}) == 2


def test_fronts_tell_of_models_that_only_replicas_have(
    app: App, smollm2: Path, tmp_path: Path
) -> None:
    """The file goes, as on another machine it would never have been."""
    path = tmp_path / "own.gguf"
    path.write_bytes(smollm2.read_bytes())
    app.deploy(model=str(path))
    path.unlink()
    (model,) = app.client.get("/api/models").json()["data"]
    assert (model["size"], model["architecture"]) == (smollm2.stat().st_size, "llama")
    assert (model["message"], model["capabilities"]) == (None, ["chat"])
    assert app.client.get("/props").json()["modalities"]["vision"] is False
    assert app.ask("Hello").status_code == 200
