"""Many sequences at once through wasi-nn: eight streams, a prompt seen before, a late arrival.

Each stream is a guest in a thread of its own that calls compute_single and get_output_single.
"""

import json
import threading
import time
from dataclasses import dataclass, field

from bare import Bare
from nn import DECODE_PROMPT, guest_text
from report import Report
from server import demo_model

from llamaedge_host import Guest, NeuralNetwork, Preload

STREAMS = 8
TOKENS = 160
CONTEXT = 2048
CONFIG = {"ctx-size": CONTEXT, "batch-size": 512, "temp": 0.0, "ignore-eos": True}
WORDS = [
    "time",
    "river",
    "stone",
    "light",
    "house",
    "sea",
    "wind",
    "story",
    "night",
    "ship",
    "keeper",
    "lamp",
    "storm",
    "shore",
]


def words(count: int, seed: int) -> str:
    """``count`` words, others for another seed."""
    return " ".join(WORDS[(seed * 7 + n * (seed % 5 + 1) + n // 13) % 14] for n in range(count))


@dataclass
class Stream:
    """A guest with a prompt."""

    prompt: str
    nn: NeuralNetwork
    guest: Guest = field(init=False)

    def __post_init__(self) -> None:
        self.guest = Guest(guest_text(json.dumps(CONFIG), self.prompt), nn=self.nn)
        assert self.guest.call("load") == 0

    def begin(self) -> float:
        """Evaluate the prompt and make the first token; seconds."""
        assert self.guest.call("prepare") == 0
        started = time.perf_counter()
        assert self.guest.call("singles", 1) == 0
        return time.perf_counter() - started

    def go_on(self, count: int) -> None:
        assert self.guest.call("singles", count) == 0

    def end(self) -> None:
        assert self.guest.call("fini") == 0


def together(streams: list[Stream], count: int) -> float:
    """Seconds until each of ``streams``, begun already, has made ``count`` more tokens."""
    threads = [threading.Thread(target=each.go_on, args=(count,)) for each in streams]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def measure(report: Report, rounds: int) -> None:
    nn = NeuralNetwork([Preload.parse(f"default:GGML:AUTO:{demo_model()}")], parallel=STREAMS)
    bare = Bare(demo_model(), sequences=STREAMS, context=CONTEXT)
    prompt = bare.tokenize(DECODE_PROMPT)
    streams = [Stream(DECODE_PROMPT, nn) for _ in range(STREAMS)]
    for round_ in range(rounds + 1):
        seconds = bare.generate_batched(prompt, STREAMS, TOKENS)
        results = {"bare batched loop, 8 sequences": STREAMS * (TOKENS - 1) / seconds}
        for each in streams:
            each.begin()
        results["8 streams"] = STREAMS * (TOKENS - 1) / together(streams, TOKENS - 1)
        for each in streams:
            each.end()
        streams[0].begin()
        results["1 stream"] = (TOKENS - 1) / together(streams[:1], TOKENS - 1)
        streams[0].end()
        if round_:
            for what, value in results.items():
                report.add(what, value, "tokens/s")
    report.ratio("8 streams / bare batched", "8 streams", "bare batched loop, 8 sequences")
    report.ratio("8 streams / 1 stream", "8 streams", "1 stream")
    bare.close()
    for round_ in range(rounds):
        _seen_before(report, nn, round_)
        _late_arrival(report, nn, streams[: STREAMS - 1], round_)
    report.ratio("seen / unseen", "first token, 900 of 1,000 seen", "first token, 1,000 unseen")
    for each in streams:
        each.guest.close()
    nn.close()


def _seen_before(report: Report, nn: NeuralNetwork, round_: int) -> None:
    first, second = (
        Stream(words(900, round_ + 1) + " " + words(100, seed), nn)
        for seed in (round_ + 21, round_ + 43)
    )
    report.add("first token, 1,000 unseen", first.begin() * 1e3, "ms")
    first.end()
    report.add("first token, 900 of 1,000 seen", second.begin() * 1e3, "ms")
    second.end()
    first.guest.close()
    second.guest.close()


def _late_arrival(report: Report, nn: NeuralNetwork, running: list[Stream], round_: int) -> None:
    short = Stream(words(20, round_ + 60), nn)
    report.add("first token of a short prompt, alone", short.begin() * 1e3, "ms")
    short.end()
    short.guest.close()
    for each in running:
        each.begin()
    thread = threading.Thread(target=together, args=(running, TOKENS - 1))
    thread.start()
    time.sleep(0.5)
    late = Stream(words(20, round_ + 80), nn)
    report.add("first token of a short prompt, 7 running", late.begin() * 1e3, "ms")
    late.end()
    thread.join()
    for each in running:
        each.end()
    late.guest.close()
