"""Reading ``--dir``."""

from pathlib import Path

import pytest

from llamaedge_host.errors import HostError
from llamaedge_host.preopen import Preopen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data", Preopen(Path("data"), "data")),
        (".:data", Preopen(Path("data"), ".")),
        ("/in:/out:readonly", Preopen(Path("/out"), "/in", readonly=True)),
        (".:~/data", Preopen(Path("/home/ada/data"), ".")),
        (".:~", Preopen(Path("/home/ada"), ".")),
    ],
)
def test_a_directory_is_read(monkeypatch: pytest.MonkeyPatch, text: str, expected: Preopen) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert Preopen.parse(text) == expected


@pytest.mark.parametrize("text", ["", ":a", "a:b:c", "a:b:readonly:d"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(HostError, match="expected HOST, GUEST:HOST or GUEST:HOST:readonly"):
        Preopen.parse(text)
