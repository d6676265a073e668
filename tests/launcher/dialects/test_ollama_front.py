"""What Ollama's clients ask of a whole front: its models, and whether it runs."""

from pathlib import Path

import ollama
import pytest

from ..conftest import StartFront


def test_models_have_their_digests_and_times(start_front: StartFront, tmp_path: Path) -> None:
    client = ollama.Client(start_front().url, trust_env=False)
    (model,) = client.list().models
    assert model.model == "default"
    assert model.digest == ""  # there is no such file
    with pytest.raises(ollama.ResponseError, match="--model-name mine"):
        client.copy("default", "mine")
    with pytest.raises(ollama.ResponseError, match="not found"):
        client.copy("none", "mine")


@pytest.mark.parametrize("keys", [[], ["k"]])
def test_it_says_that_it_runs(start_front: StartFront, keys: list[str]) -> None:
    with start_front(keys=keys).client() as client:
        client.headers["X-Api-Key"] = "k"
        assert client.get("/").text == "Ollama is running"
        assert client.head("/").status_code == 200
        assert client.post("/").status_code in (404, 405)


def test_a_page_stays_where_it_is(start_front: StartFront, tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.mkdir()
    page.joinpath("index.html").write_text("<p>the page")
    with start_front(web_ui=str(page)).client() as client:
        assert client.get("/").text == "<p>the page"
        assert client.head("/").status_code == 200


def test_a_guests_own_page_stays_where_it_is(start_front: StartFront) -> None:
    with start_front(known_only=False).client() as client:
        assert client.get("/").json()["line"] == "GET / HTTP/1.1"
