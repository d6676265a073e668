"""How models are named."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_launcher.models.reference import HubModel, Reference, WebModel, parse

PAGE = "https://huggingface.co/acme/tiny-GGUF"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model.gguf", Path("model.gguf")),
        ("some/model.gguf", Path("some/model.gguf")),
        ("./acme/tiny", Path("acme/tiny")),
        ("/models/tiny", Path("/models/tiny")),
        ("~/tiny.gguf", Path("/home/ada/tiny.gguf")),
        ("tiny", Path("tiny")),
        ("a/b/c", Path("a/b/c")),
        ("here/there", Path("here/there")),
        ("acme/tiny-GGUF", HubModel("acme/tiny-GGUF")),
        ("acme/tiny-GGUF:latest", HubModel("acme/tiny-GGUF")),
        ("acme/tiny-GGUF:Q4_K_M", HubModel("acme/tiny-GGUF", "Q4_K_M")),
        ("acme/tiny:a/b.gguf", HubModel("acme/tiny", "a/b.gguf")),
        ("acme/tiny@v1.0:Q8_0", HubModel("acme/tiny", "Q8_0", "v1.0")),
        ("hf:acme/tiny", HubModel("acme/tiny")),
        ("hf://acme/tiny:Q4_0", HubModel("acme/tiny", "Q4_0")),
        ("hf.co/acme/tiny:Q4_0", HubModel("acme/tiny", "Q4_0")),
        ("hf:acme/tiny.gguf", HubModel("acme/tiny.gguf")),
        (PAGE, HubModel("acme/tiny-GGUF")),
        (f"{PAGE}:Q4_0", HubModel("acme/tiny-GGUF", "Q4_0")),
        (f"{PAGE}/tree/main", HubModel("acme/tiny-GGUF")),
        (f"{PAGE}/blob/main/a-Q4_0.gguf", HubModel("acme/tiny-GGUF", "a-Q4_0.gguf")),
        (f"{PAGE}/resolve/v1/x/a.gguf?download=true", HubModel("acme/tiny-GGUF", "x/a.gguf", "v1")),
        (f"{PAGE}/blob/main/README.md", HubModel("acme/tiny-GGUF")),
        ("http://mirror:8080/acme/tiny", HubModel("acme/tiny")),
        ("https://example.org/a/b.gguf", WebModel("https://example.org/a/b.gguf")),
        ("https://huggingface.co", WebModel("https://huggingface.co")),
    ],
)
def test_what_a_name_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: Reference
) -> None:
    tmp_path.joinpath("here").mkdir()
    tmp_path.joinpath("here", "there").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror:8080")
    assert parse(text) == expected


@given(st.from_regex(r"\w+/[\w.-]+(@\w+)?(:[\w./-]+)?", fullmatch=True))
def test_what_a_hubs_model_is_shown_as_names_it(text: str) -> None:
    found = parse(text)
    if isinstance(found, HubModel):
        assert parse(str(found)) == found


def test_a_url_tells_its_files_name() -> None:
    assert WebModel("https://example.org/a%20b/c%20d.gguf?x=/y").name == "c d.gguf"
