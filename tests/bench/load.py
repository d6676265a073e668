"""500 chat requests of mixed length from 16 clients through `llamaedge run`."""

import json
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from statistics import quantiles

import httpx
from report import Report
from server import Server
from streams import words

REQUESTS = 500
CLIENTS = 16
SIZES = [(10, 16), (40, 32), (200, 24), (20, 64), (400, 8), (60, 48)]  # prompt words, tokens


class Client:
    """Sends requests from a queue until it is empty."""

    def __init__(self, url: str, jobs: "SimpleQueue[tuple[int, int, int]]") -> None:
        self._client = httpx.Client(base_url=url, timeout=300)
        self._jobs = jobs
        self.first: list[float] = []
        self.gaps: list[float] = []
        self.tokens = 0

    def run(self) -> None:
        with self._client:
            while True:
                try:
                    self._send(*self._jobs.get_nowait())
                except Empty:
                    return

    def _send(self, seed: int, length: int, most: int) -> None:
        body = {
            "model": "default",
            "messages": [{"role": "user", "content": words(length, seed)}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": most,
        }
        before = time.perf_counter()
        seen = 0
        with self._client.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200, answer.read()
            for line in answer.iter_lines():
                if not line.startswith("data: {"):
                    continue
                frame = json.loads(line[6:])
                if usage := frame.get("usage"):
                    self.tokens += usage["completion_tokens"]
                if frame["choices"] and frame["choices"][0]["delta"].get("content"):
                    now = time.perf_counter()
                    (self.gaps if seen else self.first).append(now - before)
                    before = now
                    seen += 1


def rss(server: Server) -> float:
    """MB of the server's processes together."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:
            continue
        if str(server.pid) in (fields["Pid"].strip(), fields["PPid"].strip()):
            total += int(fields.get("VmRSS", "0 kB").split()[0])
    return total / 1e3


def measure(report: Report, rounds: int) -> None:
    for _ in range(rounds):
        _measure(report)


def _measure(report: Report) -> None:
    jobs: SimpleQueue[tuple[int, int, int]] = SimpleQueue()
    for number in range(REQUESTS):
        jobs.put((number, *SIZES[number % len(SIZES)]))
    with Server() as server:
        clients = [Client(server.url, jobs) for _ in range(CLIENTS)]
        report.add("RSS before", rss(server), "MB")
        threads = [threading.Thread(target=each.run) for each in clients]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - started
        report.add("RSS after", rss(server), "MB")
    first = [value for each in clients for value in each.first]
    gaps = [value for each in clients for value in each.gaps]
    report.add("requests", REQUESTS / seconds, "requests/s")
    report.add("generated", sum(each.tokens for each in clients) / seconds, "tokens/s")
    for what, values in (("time to first token", first), ("time between tokens", gaps)):
        cuts = quantiles(values, n=100)
        report.add(f"{what}, p50", cuts[49] * 1e3, "ms")
        report.add(f"{what}, p99", cuts[98] * 1e3, "ms")
