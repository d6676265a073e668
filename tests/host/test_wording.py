"""Words in messages."""

import pytest

from llamaedge_host.wording import counted


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 sequences"), (1, "1 sequence"), (2, "2 sequences")]
)
def test_counted(number: int, words: str) -> None:
    assert counted(number, "sequence") == words
