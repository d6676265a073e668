"""Conversations go on after their worker, or the whole server, has ended."""

import os
import re
import signal
import time
from pathlib import Path

import httpx

from ..models import tiny
from .running import Server, running

SEA, WIND = "the sea and the bird " * 12, "and the wind " * 30


def ask(url: str, talk: str) -> int:
    """How much of the prompt was known."""
    messages = [{"role": "user", "content": talk}]
    asked = {"messages": messages, "max_tokens": 4, "temperature": 0}
    response = httpx.post(f"{url}/v1/chat/completions", json=asked, timeout=60)
    assert response.status_code == 200, response.text
    return int(response.json()["usage"]["prompt_tokens_details"]["cached_tokens"])


def restored(url: str) -> float:
    found = re.findall(
        r"^llamaedge_restored_total\S* (\S+)$", httpx.get(f"{url}/metrics").text, re.M
    )
    return sum(map(float, found))


def wait_for_another(server: Server, url: str, worker: int) -> None:
    """Until the server has another worker than ``worker``, which answers."""
    deadline = time.monotonic() + 60
    while not (server.workers() and worker not in server.workers()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    while httpx.get(f"{url}/health").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_conversation_survives_its_worker_and_its_server(
    tmp_path: Path, module_cache: Path
) -> None:
    model, kept = tiny.llama(tmp_path / "m.gguf"), tmp_path / "kept"
    options = [str(model), "-pchatml", "--ctx-size=512", "--parallel=2", f"--cache-dir={kept}"]
    first = tmp_path / "1"  # the path of a Unix socket may be short only
    first.mkdir()
    with running(first, *options) as server:
        url = server.wait_ready()
        assert ask(url, SEA) == 0
        deadline = time.monotonic() + 60
        while not list(kept.glob("*.kv")):
            assert time.monotonic() < deadline, server.terminal.read_text()
            time.sleep(0.05)
        worker = server.worker()
        os.kill(worker, signal.SIGKILL)
        wait_for_another(server, url, worker)
        assert ask(url, SEA) > 60
        assert restored(url) == 1
        assert ask(url, WIND) < 60
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    second = tmp_path / "2"
    second.mkdir()
    with running(second, *options) as server:
        url = server.wait_ready()
        assert ask(url, SEA) > 60
        assert ask(url, WIND) > 60, "what rests is written at the end"
