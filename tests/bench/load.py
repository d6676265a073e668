"""500 chat requests of mixed length from 16 clients, through `llamaedge run` and its peers.

Each server gets the same requests, greedy, with the same threads and slots (see peers). A token
is what the server counts in its usage, or else a frame with text. A request that is refused or
breaks off counts as failed.
"""

import json
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from statistics import quantiles

import httpx
from peers import OURS, Peer, peers
from report import Report
from server import Server
from streams import words

CLIENTS = 16
SIZES = [(10, 16), (40, 32), (200, 24), (20, 64), (400, 8), (60, 48)]  # prompt words, tokens
SYSTEM = "You are a helpful assistant."


class Client:
    """Sends requests from a queue until it is empty."""

    def __init__(self, url: str, jobs: "SimpleQueue[tuple[int, int, int]]") -> None:
        self._client = httpx.Client(base_url=url, timeout=300)
        self._jobs = jobs
        self.first: list[float] = []
        self.gaps: list[float] = []
        self.tokens = 0
        self.failed = 0

    def run(self) -> None:
        with self._client:
            while True:
                try:
                    self._send(*self._jobs.get_nowait())
                except Empty:
                    return
                except (httpx.HTTPError, ValueError, LookupError):
                    self.failed += 1

    def _send(self, seed: int, length: int, most: int) -> None:
        body = {
            "model": "default",
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": words(length, seed)},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": 0,
            "max_tokens": most,
        }
        before = time.perf_counter()
        seen = counted = 0
        line = ""
        with self._client.stream("POST", "/v1/chat/completions", json=body) as answer:
            answer.raise_for_status()
            for line in filter(None, answer.iter_lines()):
                if not line.startswith("data: {"):
                    continue
                frame = json.loads(line[6:])
                if usage := frame.get("usage"):
                    counted = usage["completion_tokens"]
                if frame["choices"] and frame["choices"][0]["delta"].get("content"):
                    now = time.perf_counter()
                    (self.gaps if seen else self.first).append(now - before)
                    before = now
                    seen += 1
        if line != "data: [DONE]":
            raise ValueError("the answer broke off")
        self.tokens += counted or seen


def rss(pid: int) -> float:
    """MB of the process ``pid`` and its children together."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:
            continue
        if str(pid) in (fields["Pid"].strip(), fields["PPid"].strip()):
            total += int(fields.get("VmRSS", "0 kB").split()[0])
    return total / 1e3


def measure(report: Report, rounds: int, requests: int = 500) -> None:
    for _ in range(rounds):
        with Server(OURS) as server:
            results = {"llamaedge run": load(server, requests)}
        for name, command in peers().items():
            with Peer(command) as peer:
                results[name] = load(peer, requests)
        for row, (_, unit) in results["llamaedge run"].items():
            for name, rows in results.items():
                if row in rows:
                    report.add(f"{row}, {name}", rows[row][0], unit)


def load(server: Server | Peer, requests: int) -> dict[str, tuple[float, str]]:
    """What came of the requests: values and their units, by what they are."""
    jobs: SimpleQueue[tuple[int, int, int]] = SimpleQueue()
    for number in range(requests):
        jobs.put((number, *SIZES[number % len(SIZES)]))
    clients = [Client(server.url, jobs) for _ in range(CLIENTS)]
    before = rss(server.pid)
    threads = [threading.Thread(target=each.run) for each in clients]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    failed = sum(each.failed for each in clients)
    results = {
        "requests": ((requests - failed) / seconds, "requests/s"),
        "generated": (sum(each.tokens for each in clients) / seconds, "tokens/s"),
    }
    for what, values in (
        ("time to first token", [value for each in clients for value in each.first]),
        ("time between tokens", [value for each in clients for value in each.gaps]),
    ):
        if len(values) > 1:
            cuts = quantiles(values, n=100)
            results[f"{what}, p50"] = cuts[49] * 1e3, "ms"
            results[f"{what}, p99"] = cuts[98] * 1e3, "ms"
    results["failed requests"] = failed, ""
    results["RSS before"] = before, "MB"
    results["RSS after"] = rss(server.pid), "MB"
    return results
