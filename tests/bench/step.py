"""The Python of a token, part by part: an engine that decodes for eight guests in eight threads.

The parts are methods that this module wraps while it measures; nothing in the engine measures
them. A wrapped call takes about half a microsecond more, and a step has some 45: the last row
says what that comes to. Only steps that make a token for every guest count, each from its start
to the next one's, less the time to read the clocks.

llama.cpp runs without the GIL, and the engine's thread must get it back after each call, so what
it waits for the GIL lies within llama_decode and llama.cpp's sampler. Time in which the thread
neither computes nor waits for a CPU (Linux's schedstat) it is blocked, by the GIL or by OpenMP's
other threads. Steps for guests that read nothing before the end show what the guests' threads
cost altogether.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median
from types import TracebackType
from typing import Any

from nn import DECODE_PROMPT
from report import Report
from server import model_file
from streams import CONFIG, STREAMS, Stream, settle

from llamaedge_host import NeuralNetwork, Preload
from llamaedge_host.ggml.engine import engine, scheduler, sequence
from llamaedge_host.ggml.llama import compute
from llamaedge_host.ggml.llama import context as llama_context
from llamaedge_host.ggml.llama.library import llama

TOKENS = 100
TURNS = 3
CALLS = 100_000

DECODE, SAMPLER, SAMPLE = "llama_decode", "sampling, llama.cpp's part", "sampling, ours"
ADMIT, PLAN, FILL = "admission", "planning", "filling the batch"
HAND, ACCOUNT, REST = "handing over", "accounting", "the rest of a step"
PYTHON = "neither llama_decode nor llama.cpp's sampler"
WRAPPED: list[tuple[Any, str, str]] = [
    (engine.Engine, "begin_step", ADMIT),
    (engine.Engine, "step", REST),
    (engine.Engine, "_account", ACCOUNT),
    (engine.Engine, "_sample", SAMPLE),
    (scheduler.Scheduler, "at_picture", PLAN),
    (scheduler.Scheduler, "plan", PLAN),
    (scheduler.Scheduler, "pause_if_ahead", HAND),
    (sequence.Sequence, "accept", HAND),
    (llama_context.LlamaContext, "put", FILL),
    (llama, "llama_decode", DECODE),
    (llama, "llama_sampler_sample", SAMPLER),
]
PARTS = (
    *(
        "start to start",
        "mail",
        ADMIT,
        PLAN,
        FILL,
        DECODE,
        ACCOUNT,
        SAMPLER,
        SAMPLE,
        HAND,
        REST,
        PYTHON,
    ),
    *("waiting for a CPU", "blocked"),
)
_clock = time.perf_counter


class Watch:
    """Wraps the parts of a step; of every full one, ``steps`` keeps the seconds of each part,
    and how many calls were wrapped."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self._now: defaultdict[str, float] = defaultdict(float)
        self._began = (0.0, 0.0, 0.0)
        self._full = False
        self._originals: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> "Watch":
        self._replace(compute, "_step", self._step(compute._step))
        for owner, name, part in WRAPPED:
            self._replace(owner, name, self.timed(getattr(owner, name), part))
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for owner, name, original in self._originals:
            setattr(owner, name, original)

    def _replace(self, owner: Any, name: str, wrapped: Callable[..., Any]) -> None:
        self._originals.append((owner, name, getattr(owner, name)))
        setattr(owner, name, wrapped)

    def timed(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            started = _clock()
            result = function(*arguments, **named)
            self._now[part] += _clock() - started
            self._now["calls"] += 1
            return result

        return call

    def _step(self, function: Callable[[Any], bool]) -> Callable[[Any], bool]:
        def call(worker: Any) -> bool:
            began = _clock(), time.thread_time(), _waited()
            if self._full:
                self._add(began)
            self._now.clear()
            self._began = began
            made = worker.counters.generated_tokens
            started = _clock()
            result = function(worker)
            self._now["mail"] -= _clock() - started
            self._now["clocks"] = started - began[0]
            self._full = worker.counters.generated_tokens - made == STREAMS
            return result

        return call

    def mean(self, part: str) -> float:
        return fmean(step[part] for step in self.steps)

    def _add(self, now: tuple[float, float, float]) -> None:
        wall, cpu, waited = (new - old for new, old in zip(now, self._began, strict=True))
        each = self._now
        each["waiting for a CPU"] = waited
        each["blocked"] = wall - cpu - waited
        wall -= each.pop("clocks")
        each["start to start"] = wall
        each["mail"] += wall
        each[SAMPLE] -= each[SAMPLER] + each[HAND]
        for part in (DECODE, SAMPLER, SAMPLE, HAND, PLAN, FILL, ACCOUNT):
            each[REST] -= each[part]
        each[PYTHON] = wall - each[DECODE] - each[SAMPLER]
        self.steps.append(dict(each))


def _waited() -> float:
    """Seconds that this thread has waited for a CPU."""
    path = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
    return int(path.read_text().split()[1]) / 1e9


def wrapping() -> float:
    """Seconds that a wrapped call takes more than a plain one."""

    def nothing(_: object) -> None: ...

    taken = []
    for function in (nothing, Watch().timed(nothing, "nothing")):
        started = _clock()
        for _ in range(CALLS):
            function(None)
        taken.append((_clock() - started) / CALLS)
    return taken[1] - taken[0]


def run(streams: list[Stream], call: Callable[[Stream], object]) -> float:
    """Call ``call`` for each of ``streams`` in a thread; seconds of CPU that all took."""
    taken: list[float] = []

    def timed(stream: Stream) -> None:
        call(stream)
        taken.append(time.thread_time())

    threads = [threading.Thread(target=timed, args=(each,)) for each in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(taken)


def measure(report: Report, rounds: int) -> None:
    nn = NeuralNetwork([Preload.parse(f"default:GGML:AUTO:{model_file()}")], parallel=STREAMS)
    streams = [Stream(DECODE_PROMPT, nn, CONFIG | {"n-predict": TOKENS}) for _ in range(STREAMS)]
    cost = wrapping()

    def reading() -> float:
        for each in streams:
            each.begin()
        settle(nn)
        with Watch() as watch:
            cpu = run(streams, lambda each: each.go_on(TOKENS))
        for each in streams:
            each.end()
        _tell(report, watch, cpu / (TOKENS * STREAMS), cost)
        return watch.mean("start to start") * 1e6

    def silent() -> float:
        for each in streams:
            assert each.guest.call("prepare") == 0
        with Watch() as watch:
            run(streams, lambda each: each.guest.call("compute"))
        return watch.mean("start to start") * 1e6

    silent()
    for _ in range(rounds):
        steps = {
            "a step for guests that read nothing yet": silent,
            "a step for guests that read each token": reading,
        }
        report.compare("us", steps, TURNS)
    for each in streams:
        each.guest.close()
    nn.close()


def _tell(report: Report, watch: Watch, guest: float, cost: float) -> None:
    """Rows of a step's parts; ``guest`` is the CPU time of the guest's thread for a token."""
    for part in PARTS:
        report.add(part, watch.mean(part) * 1e6, "us a step")
    whole, python = watch.mean("start to start"), watch.mean(PYTHON)
    middle = median(step[PYTHON] for step in watch.steps)
    report.add("the engine's Python", python / STREAMS * 1e6, "us a token")
    report.add("the engine's Python, in the median step", middle / STREAMS * 1e6, "us a token")
    report.add("the engine's Python, of a step", python / whole * 100, "%")
    report.add("a guest's thread, CPU time", guest * 1e6, "us a token")
    report.add("both, of a step", (python + guest * STREAMS) / whole * 100, "%")
    report.add("what wrapping adds", watch.mean("calls") * cost * 1e6, "us a step")
