"""Other servers on the same model and threads, where they are installed: one stream, and eight.

`pip install xllamacpp` is llama.cpp's own server; `pip install 'llama-cpp-python[server]'`.
"""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import httpx
from report import Report
from server import Server, demo_model

TOKENS = 100
XLLAMACPP = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.port, params.hostnames = sys.argv[1], int(sys.argv[2]), ["127.0.0.1"]
params.n_parallel, params.n_ctx = 8, 8 * 4096
params.cpuparams.n_threads = int(sys.argv[3])
params.cpuparams_batch.n_threads = int(sys.argv[3])
server = xllamacpp.Server(params)
time.sleep(3600)
"""


class Peer:
    """Another program's server on a free port."""

    def __init__(self, command: Callable[[int], list[str]]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            command(port),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while True:
            assert self._process.poll() is None, f"{command(port)[:4]} ended"
            try:
                if httpx.get(self.url + "/v1/models").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def peers() -> dict[str, Callable[[int], list[str]]]:
    threads, model = str(len(os.sched_getaffinity(0))), str(demo_model())
    found: dict[str, Callable[[int], list[str]]] = {}
    if importlib.util.find_spec("xllamacpp"):
        found["llama.cpp's server (xllamacpp)"] = lambda port: [
            sys.executable, "-c", XLLAMACPP, model, str(port), threads,
        ]  # fmt: skip
    if importlib.util.find_spec("sse_starlette"):
        found["llama-cpp-python[server]"] = lambda port: [
            sys.executable, "-m", "llama_cpp.server", "--model", model, "--port", str(port),
            "--n_threads", threads, "--n_threads_batch", threads, "--n_ctx", "4096",
        ]  # fmt: skip
    return found


def ask(url: str, counts: list[int]) -> None:
    body = {
        "model": "default",
        "messages": [{"role": "user", "content": "Write a long story about the sea."}],
        "stream": True,
        "temperature": 0,
        "max_tokens": TOKENS,
    }
    frames = 0
    with httpx.stream("POST", url + "/v1/chat/completions", json=body, timeout=300) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                choices = json.loads(line[6:])["choices"]
                frames += bool(choices and choices[0]["delta"].get("content"))
    counts.append(frames)


def rate(url: str, clients: int) -> float:
    """Tokens a second of all clients together, first request to last frame."""
    counts: list[int] = []
    threads = [threading.Thread(target=ask, args=(url, counts)) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == clients, "a request failed"
    return sum(counts) / (time.perf_counter() - started)


def measure(report: Report, rounds: int) -> None:
    others = peers()
    for _ in range(rounds):
        with Server() as server:
            _rates(report, "llamaedge run", server.url)
        for name, command in others.items():
            with Peer(command) as peer:
                _rates(report, name, peer.url)
    for name in others:
        for streams in ("1 stream", "8 streams"):
            report.ratio(f"llamaedge run / {name}, {streams}",
                         f"llamaedge run, {streams}", f"{name}, {streams}")  # fmt: skip


def _rates(report: Report, name: str, url: str) -> None:
    rate(url, 1)
    report.add(f"{name}, 1 stream", rate(url, 1), "tokens/s")
    report.add(f"{name}, 8 streams", rate(url, 8), "tokens/s")
