"""A server beside other work: a busy process, and a second server.

Every figure is of the quiet speed in the same run. Linux gives sessions equal parts of a CPU
(sched_autogroup), and the worker has one of its own: there niceness counts for little.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from statistics import median, quantiles

from peers import OURS, SLOTS, rate
from report import Report
from serve import QUESTION, frames
from server import Server
from streams import words

TOKENS = 200
PROMPT = 500  # words
TURNS = 3
LIBGOMPS = {"GOMP_SPINCOUNT": "300000"}
_seeds = count()
QUIET, TAIL = "one stream, quiet", "99th percentile of a token / its median"


def measure(report: Report, rounds: int) -> None:
    with Server(OURS) as server, Server(OURS) as other, Server(OURS, LIBGOMPS) as spinning:
        for each in server, other, spinning:
            decode(each)
        for _ in range(rounds):
            report.compare(
                "tokens/s",
                {
                    QUIET: partial(decode, server, report, "quiet"),
                    "one stream, beside a busy process": partial(beside, server, report, 0),
                    "one stream, beside one of nice 19": partial(beside, server, report, 19),
                    "one stream, as another server makes one": partial(both, server, other),
                },
                TURNS,
            )
            for what, call in {
                "one stream": decode,
                f"{SLOTS} streams": lambda each: rate(each.url, SLOTS),
                f"a prompt of {PROMPT} words": prefill,
            }.items():
                report.compare(
                    "tokens/s" if "stream" in what else "prompts/s",
                    {
                        f"{what}, spinning as libgomp comes": partial(call, spinning),
                        f"{what}, as we set it": partial(call, server),
                    },
                    TURNS,
                )


def decode(server: Server, report: Report | None = None, what: str = "") -> float:
    """Tokens a second of one stream; adds its tail to ``report``."""
    _, *gaps = frames(server, TOKENS, QUESTION)
    if report:
        report.add(f"{TAIL}, {what}", quantiles(gaps, n=100)[98] / median(gaps), "")
    return len(gaps) / sum(gaps)


def prefill(server: Server) -> float:
    """Prompts a second, of a prompt like no other."""
    return 1 / frames(server, 1, words(PROMPT, next(_seeds)))[0]


def beside(server: Server, report: Report, nice: int) -> float:
    """The same beside a busy process of ``nice``."""
    with busy(nice):
        return decode(server, report, f"beside a busy process, nice {nice}")


def both(server: Server, other: Server) -> float:
    """The speed of ``server`` while ``other`` streams as well."""
    ended = threading.Event()

    def keep() -> None:
        while not ended.is_set():
            decode(other)

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        return decode(server)
    finally:
        ended.set()
        thread.join()


@contextmanager
def busy(nice: int) -> Iterator[None]:
    """A process of ``nice`` that computes."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"import os; os.nice({nice})\nwhile True: pass"]
    )
    time.sleep(0.5)
    try:
        yield
    finally:
        process.kill()
        process.wait()
