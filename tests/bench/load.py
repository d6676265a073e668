"""500 chat requests of mixed length from 16 clients, through `llamaedge run` and its peers.

Each server gets the same requests, greedy, with the same threads and slots (see peers). A token
is what the server counts in its usage, or else a frame with text. A request that is refused or
breaks off counts as failed. Each has a connection of its own: llama.cpp's server closes some that
were kept, and what fails then is no measure of anything.
"""

import threading
import time
from http.client import HTTPException
from itertools import chain, pairwise
from pathlib import Path
from queue import Empty, SimpleQueue
from statistics import quantiles

from client import Client, frames, has_text
from peers import OURS, Peer, peers
from report import Report
from server import Server
from streams import words

CLIENTS = 16
SIZES = [(10, 16), (40, 32), (200, 24), (20, 64), (400, 8), (60, 48)]  # prompt words, tokens
SYSTEM = "You are a helpful assistant."


class Sender:
    """Sends requests from a queue until it is empty."""

    def __init__(self, url: str, jobs: "SimpleQueue[tuple[int, int, int]]") -> None:
        self._url = url
        self._jobs = jobs
        self._answers: list[tuple[float, list[tuple[float, bytes]]]] = []
        self.failed = 0

    def run(self) -> None:
        while True:
            try:
                self._send(*self._jobs.get_nowait())
            except Empty:
                return
            except (HTTPException, OSError, ValueError):
                self.failed += 1

    def _send(self, seed: int, length: int, most: int) -> None:
        body = {
            "model": "default",
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": words(length, seed)},
            ],
            "stream_options": {"include_usage": True},
            "temperature": 0,
            "max_tokens": most,
        }
        before = time.perf_counter()
        self._answers.append((before, Client(self._url).chat(body)))

    def times(self) -> tuple[list[float], list[float], int]:
        """Seconds to each first token, those between two tokens, and how many were made."""
        first, gaps, tokens = [], [], 0
        for before, lines in self._answers:
            read = frames(lines)
            came = [at for at, frame in read if has_text(frame)]
            first += [came[0] - before] if came else []
            gaps += [later - earlier for earlier, later in pairwise(came)]
            usage = read[-1][1].get("usage")
            tokens += usage["completion_tokens"] if usage else len(came)
        return first, gaps, tokens


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
    clients = [Sender(server.url, jobs) for _ in range(CLIENTS)]
    before = rss(server.pid)
    threads = [threading.Thread(target=each.run) for each in clients]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    failed = sum(each.failed for each in clients)
    first, gaps, tokens = zip(*(each.times() for each in clients), strict=True)
    results = {
        "requests": ((requests - failed) / seconds, "requests/s"),
        "generated": (sum(tokens) / seconds, "tokens/s"),
    }
    for what, values in (
        ("time to first token", [*chain(*first)]),
        ("time between tokens", [*chain(*gaps)]),
    ):
        if len(values) > 1:
            cuts = quantiles(values, n=100)
            results[f"{what}, p50"] = cuts[49] * 1e3, "ms"
            results[f"{what}, p99"] = cuts[98] * 1e3, "ms"
    results["failed requests"] = failed, ""
    results["RSS before"] = before, "MB"
    results["RSS after"] = rss(server.pid), "MB"
    return results
