"""A switch of models under load, in a real server: from a small model to SmolLM2."""

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from ..models import tiny
from .models.test_over_http import TEMPLATE
from .running import START, USER, running
from .test_supervisor import gone

CLIENTS = 3


def ask(url: str, stop: threading.Event) -> list[str]:
    """What is wrong with the answers that streams get, one after another."""
    body = {"model": "model", "messages": [USER], "max_tokens": 8, "stream": True}
    wrong = []
    with httpx.Client(base_url=url, timeout=START, trust_env=False) as client:
        while not stop.is_set():
            response = client.post("/v1/chat/completions", json=body)
            frames = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
            if response.status_code != 200 or frames[-1:] != ["[DONE]"]:
                wrong.append(f"{response.status_code} {response.text}")
            elif any("error" in json.loads(frame) for frame in frames[:-1]):
                wrong.append(response.text)
    return wrong


@pytest.mark.timeout(600)
def test_a_switch_under_load_loses_no_request(
    tmp_path: Path, smollm2: Path, module_cache: Path
) -> None:
    path, other = tmp_path / "model.gguf", tmp_path / "other.gguf"
    tiny.llama(path, template=TEMPLATE, brief=True)
    shutil.copy(smollm2, other)
    stop = threading.Event()
    with (
        running(tmp_path, str(path), "--ctx-size", "256") as server,
        ThreadPoolExecutor(CLIENTS) as threads,
    ):
        url = server.wait_ready()
        before = server.workers()
        asking = [threads.submit(ask, url, stop) for _ in range(CLIENTS)]
        try:
            other.replace(path)
            load = f"{url}/api/models/load"
            answer = httpx.post(load, json={"model": "model"}, timeout=START, trust_env=False)
            assert answer.status_code == 200, answer.text
            assert answer.json()["status"] == "ready"
            assert answer.json()["parameters"] > 100_000_000
            status = f"{url}/api/models"
            while not all(map(gone, before)):
                assert httpx.get(status, trust_env=False).status_code == 200
        finally:
            stop.set()
        assert [each.result() for each in asking] == [[]] * CLIENTS
        assert "Traceback" not in server.terminal.read_text()
