"""`llamaedge run --lora`, and what requests make of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from llamaedge_launcher.cli.adapters import LoraFile, check_adapters
from llamaedge_launcher.errors import LauncherError

from ..models import tiny
from .running import running


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, module_cache: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("lora")
    model, adapter = tiny.llama(folder / "m.gguf"), tiny.lora(folder / "a.gguf")
    options = ["-pchatml", "--ctx-size=512", "--parallel=2", "--temp=0", "--lora", f"{adapter}:0"]
    with running(folder, str(model), *options) as server:
        yield server.wait_ready()


def ask(url: str, **fields: Any) -> httpx.Response:
    body = {"prompt": "the sea and", "max_tokens": 12, "ignore_eos": True} | fields
    return httpx.post(f"{url}/v1/completions", json=body, timeout=60)


def text(url: str, **fields: Any) -> str:
    return str(ask(url, **fields).json()["choices"][0]["text"])


def test_a_request_says_how_strong_an_adapter_is(url: str) -> None:
    (adapter,) = httpx.get(f"{url}/lora-adapters").json()
    assert adapter["id"] == 0
    assert adapter["scale"] == 0.0
    assert adapter["path"].endswith("a.gguf")
    plain, strong = text(url), text(url, lora=[{"id": 0, "scale": 1}])
    assert plain != strong
    assert text(url, lora=[{"id": 0, "scale": 0.0}]) == plain
    assert httpx.post(f"{url}/lora-adapters", json=[{"id": 0, "scale": 1.0}]).status_code == 200
    assert text(url) == strong
    assert text(url, lora=[]) == plain
    assert httpx.post(f"{url}/lora-adapters", json=[]).status_code == 200
    assert text(url) == plain


@pytest.mark.parametrize("lora", [[{"id": 7, "scale": 1}], [{"id": 0}], {"id": 0}, 5])
def test_a_wrong_adapter_is_refused(url: str, lora: Any) -> None:
    response = ask(url, lora=lora)
    assert response.status_code == 400, response.text
    assert "lora" in response.json()["error"]["message"]


def test_a_scale_that_names_no_adapter_is_refused(url: str) -> None:
    response = httpx.post(f"{url}/lora-adapters", json=[{"id": 3, "scale": 1}])
    assert response.status_code == 400
    assert "names no adapter" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/a.gguf", "1.0:/a.gguf"),
        ("/a.gguf:0.5", "0.5:/a.gguf"),
        ("/a.gguf:-1", "-1.0:/a.gguf"),
        ("/a:b.gguf", "1.0:/a:b.gguf"),
        ("/a.gguf:nan", "1.0:/a.gguf:nan"),
    ],
)
def test_a_scale_stands_behind_the_file(given: str, expected: str) -> None:
    assert LoraFile().convert(given, None, click.Context(click.Command("x"))) == expected


def test_a_file_that_is_no_adapter_is_told_at_once(tmp_path: Path) -> None:
    model = tiny.llama(tmp_path / "m.gguf")
    for path, why in ((model, "is no adapter"), (tmp_path / "none.gguf", "cannot read")):
        with pytest.raises(LauncherError, match=why):
            check_adapters((f"1.0:{path}",))
    check_adapters((f"1.0:{tiny.lora(tmp_path / 'a.gguf')}",))
