"""The page of the metadata keys says what the table says."""

from pathlib import Path

from llamaedge_host.ggml.metadata.keys import KEYS
from llamaedge_host.ggml.metadata.reference import page

PAGE = Path(__file__).parents[2] / "docs" / "metadata.md"


def test_the_page_is_the_tables() -> None:
    assert PAGE.read_text() == page(), "run python -m llamaedge_host.ggml.metadata.reference"


def test_every_key_has_a_row() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) == len(KEYS)
