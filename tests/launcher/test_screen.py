"""The banner of `llamaedge run`: short on a terminal, plain lines without one, objects as JSON."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ..models import tiny
from .running import LLAMAEDGE, running

ROWS = ["model", "template", "address", "context", "memory", "device"]
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.gguf"
    return tiny.llama(path, template="{{ messages[0].content }}")


def on_a_terminal(*options: str, **environment: str) -> str:
    """What it shows there, lines as wide as they are."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [LLAMAEDGE, "run", "--port", "0", *options],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm"} | environment,
    )
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + 90
    try:
        while b"curl http" not in shown and time.monotonic() < deadline:
            if select.select([ours], [], [], 1)[0]:
                shown += os.read(ours, 65536)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def rows(shown: str) -> list[str]:
    return [word for line in shown.splitlines() if (word := line.partition(" ")[0]) in ROWS]


def test_a_terminal_gets_a_short_banner_in_colour(model: Path) -> None:
    shown = on_a_terminal(str(model), "--threads", "1", "--log-level", "error")
    plain = COLOUR.sub("", shown)
    assert shown != plain
    assert rows(plain) == ROWS
    assert "model    small: small.gguf, " in plain or "model    default: small.gguf, " in plain
    assert "template the model's own\n" in plain
    assert "device   CPU, 1 thread\n" in plain
    assert re.search(r"ready in [0-9.]+ s: http://127.0.0.1:\d+/v1\n", plain)
    banner = plain.partition("ready in")[0].splitlines()
    assert len(banner) == 1 + len(ROWS)
    assert all(len(line) < 100 for line in banner)


def test_no_color_is_obeyed(model: Path) -> None:
    shown = on_a_terminal(str(model), "--threads", "1", "--log-level", "error", NO_COLOR="1")
    assert not COLOUR.search(shown)
    assert rows(shown) == ROWS


def test_without_a_terminal_the_lines_are_plain(model: Path, tmp_path: Path) -> None:
    template = tmp_path / "own.jinja"
    template.write_text("{{ messages }}")
    with running(tmp_path, str(model), "--chat-template", str(template)) as server:
        server.wait_ready()
        shown = server.terminal.read_text()
    assert "\x1b" not in shown
    assert rows(shown) == ROWS
    assert "template from --chat-template\n" in shown


def test_as_json_each_row_is_a_field(model: Path, tmp_path: Path) -> None:
    with running(tmp_path, str(model), "-p", "chatml", "--log-format", "json") as server:
        url = server.wait_ready()
        entries = [json.loads(line) for line in server.terminal.read_text().splitlines()]
    found = {name: each[name] for each in entries for name in ROWS if name in each}
    assert list(found) == ROWS
    assert found["template"] == "chatml"
    ready = next(each for each in entries if "url" in each)
    assert ready["url"] == f"{url}/v1"
    assert ready["seconds"] > 0
