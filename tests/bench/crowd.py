"""More clients than slots: they take turns, and make as many tokens as fewer would.

Each client sends one request after another. What is made between the first answer's end of the
last client and the end of the measurement counts, so neither the prompts that all begin with nor
the last answers, which run alone, do.
"""

import json
import threading
import time
from functools import partial
from itertools import count

import httpx
from peers import OURS, SLOTS
from report import Report
from server import Server
from streams import words

TURNS = 3
TOKENS = 100
PROMPT = 20  # words
SECONDS = 10.0
_seeds = count()


class Client(threading.Thread):
    """Sends requests until ``ended``; ``made`` counts frames, ``answers`` the finished ones."""

    def __init__(self, url: str, ended: threading.Event) -> None:
        super().__init__()
        self._url = url
        self._ended = ended
        self.made = self.answers = 0

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=300) as client:
            while not self._ended.is_set():
                self._ask(client)
                self.answers += 1

    def _ask(self, client: httpx.Client) -> None:
        body = {
            "model": "default",
            "messages": [{"role": "user", "content": words(PROMPT, next(_seeds))}],
            "stream": True,
            "temperature": 0,
            "max_tokens": TOKENS,
        }
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200, answer.read()
            for line in answer.iter_lines():
                if self._ended.is_set():
                    return
                if line.startswith("data: {"):
                    choices = json.loads(line[6:])["choices"]
                    self.made += bool(choices and choices[0]["delta"].get("content"))


def rate(server: Server, clients: int) -> float:
    """Tokens a second that ``clients`` make together."""
    ended = threading.Event()
    crowd = [Client(server.url, ended) for _ in range(clients)]
    for each in crowd:
        each.start()
    try:
        while not all(each.answers for each in crowd):
            assert all(each.is_alive() for each in crowd), "a request failed"
            time.sleep(0.01)
        before, started = sum(each.made for each in crowd), time.perf_counter()
        time.sleep(SECONDS)
        return (sum(each.made for each in crowd) - before) / (time.perf_counter() - started)
    finally:
        ended.set()
        for each in crowd:
            each.join()


def measure(report: Report, rounds: int) -> None:
    with Server(OURS) as server:
        for _ in range(rounds):
            calls = {
                f"{clients} clients on {SLOTS} slots": partial(rate, server, clients)
                for clients in (SLOTS, 2 * SLOTS)
            }
            report.compare("tokens/s", calls, TURNS)
