"""The log's lines: the front's, the worker's and the guests', as text and as JSON."""

import json
import logging
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_launcher import cli, log

from .conftest import StartFront
from .running import USER, running

CHAT = "/v1/chat/completions"


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Puts the root logger back as it was."""
    root = logging.root
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)


def told(out: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.readouterr().err.splitlines()]


def test_a_record_is_an_object_of_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", log.JSON)
    before = datetime.now(UTC)
    logging.getLogger("a.b").warning('one\ntwo "%s" \u2028', "ü", extra=log.with_fields({"n": 1}))
    (entry,) = told(capsys)
    when = datetime.fromisoformat(entry.pop("time"))
    assert abs((when - before).total_seconds()) < 60
    assert entry == {"level": "warning", "logger": "a.b", "message": 'one\ntwo "ü" \u2028', "n": 1}


def test_an_exception_is_in_the_object(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", log.JSON)
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        logging.getLogger("a").exception("it failed")
    (entry,) = told(capsys)
    assert entry["exception"].endswith("ValueError: bad\nthing")


def test_text_stays_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", log.TEXT)
    logging.getLogger("a").warning("text", extra=log.with_fields({"n": 1}))
    line = capsys.readouterr().err
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] \[warning\] text\n", line)


def test_an_error_that_ends_the_program_is_an_object_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.execute(["run", "missing.gguf", "--log-format", "json"]) == 1
    (entry,) = told(capsys)
    assert entry["level"] == "error"
    assert "missing.gguf" in entry["message"]


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        ("plain", "info", "plain"),
        ("[2026-01-31 12:00:00.000] [error] it broke", "error", "it broke"),
        ("[2026-01-31 12:00:00.000] [warn] careful", "warning", "careful"),
        ("[INFO] SERVER VERSION: 0.1.0", "info", "SERVER VERSION: 0.1.0"),
        ("[trace] deep", "debug", "deep"),
        ("[chat] hello", "info", "[chat] hello"),
        ("ends with a return\r", "info", "ends with a return"),
        ("error: no such file", "error", "no such file"),
        ("warning: it is late", "warning", "it is late"),
    ],
)
def test_a_guests_line_has_the_level_that_it_says(
    capsys: pytest.CaptureFixture[str], line: str, level: str, message: str
) -> None:
    log.configure("error", log.JSON)
    lines = log.Lines("guest.stdout")
    lines(line.encode() + b"\n\n")
    (entry,) = told(capsys)
    assert (entry["level"], entry["message"]) == (level, message)
    assert entry["logger"] == "guest.stdout"


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@given(st.lists(st.binary()))
def test_lines_are_the_same_however_they_are_written(parts: list[bytes]) -> None:
    kept = Kept()
    logging.root.handlers[:] = [kept]
    for pieces in (parts, [b"".join(parts)]):
        lines = log.Lines("guest")
        for each in pieces:
            lines(each)
        lines.close()
    half = len(kept.messages) // 2
    assert kept.messages[:half] == kept.messages[half:]
    words = b"".join(parts).decode(errors="replace").split()
    if all(sign not in b"".join(parts) for sign in (b"[", b": ")):
        assert " ".join(kept.messages[:half]).split() == words


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    kept = Kept()
    logging.root.handlers[:] = [kept]
    lines = log.Lines("guest")
    for _ in range(40):
        lines(b"x" * 10_000)
    assert len("".join(kept.messages)) > 300_000


def test_a_request_is_an_object(start_front: StartFront) -> None:
    front = start_front(log_format="json")
    usage = {"prompt_tokens": 31, "completion_tokens": 6, "total_tokens": 37}
    body = {"messages": [], "answer": "echo", "usage": usage, "content": "x", "model": "m"}
    with front.client() as client:
        id_ = client.post(f"{CHAT}?q=1", json=body).headers["x-request-id"]
        client.get("/nothing", headers={"X-Request-Id": "second"})
    found = {entry.get("id"): entry for entry in until(front.log, "second")}
    first = found[id_]
    assert isinstance(first.pop("seconds"), float)
    assert first.pop("message").startswith(f"127.0.0.1 POST {CHAT} 200, 31 + 6 tokens")
    assert first.pop("time")
    assert first == {
        "level": "info",
        "logger": "llamaedge_launcher.proxy.record",
        "id": id_,
        "client": "127.0.0.1",
        "method": "POST",
        "path": CHAT,
        "route": CHAT,
        "model": "m",
        "status": 200,
        "complete": True,
        "prompt_tokens": 31,
        "completion_tokens": 6,
    }
    assert (found["second"]["status"], found["second"]["route"]) == (404, "other")
    assert "model" not in found["second"]


def until(file: Path, id_: str) -> list[dict[str, Any]]:
    """The log's objects, once the request ``id_`` is among them."""
    deadline = time.monotonic() + 10
    while True:
        entries = [json.loads(line) for line in file.read_text().splitlines()]
        if any(each.get("id") == id_ for each in entries):
            return entries
        assert time.monotonic() < deadline, file.read_text()
        time.sleep(0.02)


def test_all_that_a_server_says_is_objects(smollm2: Path, tmp_path: Path) -> None:
    options = ("--log-format", "json", "--log-level", "debug")
    with running(tmp_path, str(smollm2), *options) as server:
        url = server.wait_ready()
        body = {"messages": [USER], "max_tokens": 4, "stream": True}
        headers = {"X-Request-Id": "the-one"}
        httpx.post(f"{url}{CHAT}", json=body, headers=headers, timeout=60, trust_env=False)
        entries = until(server.terminal, "the-one")
    loggers = {each["logger"].partition(".")[0] for each in entries}
    assert {"llamaedge_host", "llama-api-server", "llamaedge_launcher"} <= loggers
    request = next(each for each in entries if each.get("id") == "the-one")
    assert request["completion_tokens"] == 4
    assert 0 < request["first_token_seconds"] <= request["seconds"]
