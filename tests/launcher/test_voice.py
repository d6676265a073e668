"""What a guest says, in the log."""

import io
import logging
from collections.abc import Callable, Iterator

import pytest

from llamaedge_launcher import log
from llamaedge_launcher.voice import Voice

Said = Callable[[], list[str]]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[Said]:
    """The lines of the log, without their times."""
    root, stream = logging.root, io.StringIO()
    before, level = root.handlers[:], root.level
    monkeypatch.setattr("sys.stderr", stream)
    log.configure("info")
    yield lambda: [line.partition("] ")[2] for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)


def test_how_a_guest_starts_is_told_only_at_debug(said: Said) -> None:
    voice = Voice("guest.wasm")
    voice.stdout(b"[INFO] Listening\n")
    voice.stderr(b"[WARN] hot\n")
    assert said() == ["[warning] guest.wasm: hot"]
    logging.root.setLevel(logging.DEBUG)
    voice.serve()
    assert said()[1:] == ["[debug] guest.wasm: Listening"]


def test_what_a_guest_says_later_has_its_name(said: Said) -> None:
    voice = Voice("guest.wasm 2")
    voice.stdout(b"quiet\n")
    voice.serve()
    voice.stdout(b"[2026-01-31 12:00:00.000] [error] bad\nplain\ncut")
    voice.serve()
    voice.close()
    assert said() == [
        "[error] guest.wasm 2: bad",
        "[info] guest.wasm 2: plain",
        "[info] guest.wasm 2: cut",
    ]


def test_a_guest_that_fails_to_start_has_its_say(said: Said) -> None:
    voice = Voice("guest.wasm")
    voice.stdout(b"[INFO] Starting\n")
    voice.stdout(b"usage: guest\n")
    assert said() == []
    voice.stderr(b"error: no such option\n")
    assert said() == ["[error] guest.wasm: no such option"]
    voice.close()
    assert said()[1:] == ["[info] guest.wasm: Starting", "[info] guest.wasm: usage: guest"]
