"""Many sequences at once through wasi-nn: streams, a prompt seen before, a late arrival.

Each stream is a guest in a thread of its own that calls compute_single and get_output_single.
"""

import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from bare import Bare
from nn import DECODE_PROMPT, guest_text
from report import Report
from server import model_file

from llamaedge_host import Guest, NeuralNetwork, Preload
from llamaedge_host.ggml.engine.sequence import LOOKAHEAD

STREAMS = 8
WIDTHS = (1, 2, 4, STREAMS)
TOKENS = 72
PAIRS = 3
CONTEXT = 2048
CONFIG: dict[str, object] = {
    "ctx-size": CONTEXT,
    "batch-size": 512,
    "temp": 0.0,
    "ignore-eos": True,
}
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
    return " ".join(random.Random(seed).choices(WORDS, k=count))


@dataclass
class Stream:
    """A guest with a prompt."""

    prompt: str
    nn: NeuralNetwork
    config: dict[str, object] = field(default_factory=lambda: CONFIG)
    guest: Guest = field(init=False)

    def __post_init__(self) -> None:
        self.guest = Guest(guest_text(json.dumps(self.config), self.prompt), nn=self.nn)
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


def settle(nn: NeuralNetwork) -> None:
    """Wait until every stream is as far ahead of its guest as it may be."""
    while any(each["sequences_running"] for each in nn.statistics().values()):
        time.sleep(0.001)


def rate(nn: NeuralNetwork, streams: list[Stream], running: Sequence[int]) -> float:
    """Tokens a second of those of ``streams`` that ``running`` names, but for those that the
    engine is ahead of them. Each begins in the slot of its number, where its own prompt is."""
    for each in streams:
        each.begin()
    settle(nn)
    for number, each in enumerate(streams):
        if number not in running:
            each.end()
    seconds = together([streams[number] for number in running], TOKENS)
    for number in running:
        streams[number].end()
    return len(running) * (TOKENS - LOOKAHEAD) / seconds


def measure(report: Report, rounds: int) -> None:
    nn = NeuralNetwork([Preload.parse(f"default:GGML:AUTO:{model_file()}")], parallel=STREAMS)
    bare = Bare(model_file(), sequences=STREAMS, context=CONTEXT)
    prompt = bare.tokenize(DECODE_PROMPT)
    prompts = [f"{number} {DECODE_PROMPT}" for number in range(STREAMS)]
    streams = [Stream(each, nn) for each in prompts]
    unified = [Stream(each, nn, CONFIG | {"kv-unified": True}) for each in prompts]

    def batched(width: int) -> float:
        return width * (TOKENS - 1) / bare.generate_batched(prompt, width, TOKENS)

    pairs = [
        {
            f"bare batched, {width}": partial(batched, width),
            f"{width} at once": partial(rate, nn, streams, range(width)),
        }
        for width in WIDTHS
    ]
    pairs += [
        {
            f"{width} at once, a KV cache each": partial(rate, nn, streams, range(width)),
            f"{width} at once, one KV cache": partial(rate, nn, unified, range(width)),
        }
        for width in WIDTHS
    ]
    pairs.append(
        {
            "4 at once in slots 0, 1, 2, 3": partial(rate, nn, streams, (0, 1, 2, 3)),
            "4 at once in slots 0, 2, 4, 6": partial(rate, nn, streams, (0, 2, 4, 6)),
        }
    )
    for pair in pairs:
        Report("warming up").compare("tokens/s", pair, 1)
    for _ in range(rounds):
        for pair in pairs:
            report.compare("tokens/s", pair, PAIRS)
    for round_ in range(rounds):
        _seen_before(report, nn, round_)
        _late_arrival(report, nn, streams[: STREAMS - 1], round_)
    report.ratio("8 at once / 1 at once", "8 at once", "1 at once")
    report.ratio("seen / unseen", "first token, 900 of 1,000 seen", "first token, 1,000 unseen")
    for each in streams + unified:
        each.guest.close()
    bare.close()
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
