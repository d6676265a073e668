"""A server that Python starts, waits for and stops."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from llamaedge_launcher import Server
from llamaedge_launcher.errors import LauncherError


def ends(pid: int) -> bool:
    """Whether the process ends within a while."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def ask(base_url: str) -> str:
    question = {"role": "user", "content": "Hello"}
    body = {"messages": [question], "max_tokens": 2, "model": "any"}
    answer = httpx.post(f"{base_url}/chat/completions", json=body, timeout=120, trust_env=False)
    return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])


def test_a_server_is_ready_within_its_block(smollm2: Path) -> None:
    with Server(smollm2, "--threads", "1", "--ctx-size", "256") as server:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", server.base_url)
        assert ask(server.base_url)
        url = server.base_url
    assert server.base_url == ""
    with pytest.raises(httpx.ConnectError):
        ask(url)
    server.stop()


def test_a_server_ends_with_the_process_that_started_it(smollm2: Path) -> None:
    code = (
        "import sys, time; from llamaedge_launcher import Server;"
        "server = Server(sys.argv[1], '--threads', '1').start();"
        "print(server._process.pid, flush=True); print(server.wait(), flush=True); time.sleep(99)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(smollm2)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert ends(pid)


def test_what_is_wrong_is_raised() -> None:
    server = Server("none.gguf")
    with pytest.raises(LauncherError, match=r"cannot read none.gguf: No such file"):
        server.start().wait(60)
    with pytest.raises(LauncherError, match="was not started"):
        server.wait()
    with (
        pytest.raises(LauncherError, match="no such option --nonsense"),
        Server(None, "--nonsense"),
    ):
        pass


def test_waiting_can_be_bounded(smollm2: Path) -> None:
    server = Server(smollm2, "--threads", "1").start()
    try:
        with pytest.raises(TimeoutError, match="not ready after 0"):
            server.wait(0.01)
    finally:
        server.stop()
