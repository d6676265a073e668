"""A guest that ends at any point, or is ended, leaves nothing behind."""

import gc
import random
import threading
import time
from pathlib import Path

import pytest
from guests.blocked import ENDS, WAYS, guest
from guests.nn import EchoContext, EchoGraph
from guests.probe import Probe
from guests.streams import piped_stdin, piped_stdout

from llamaedge_host import Guest, GuestStopped, GuestTrap, HostNetwork, NeuralNetwork
from llamaedge_host.errors import Interrupted
from llamaedge_host.files import Files
from llamaedge_host.nn import Encoding, NnErrno, Preload
from llamaedge_host.nn.backend import Output

ROUNDS = 220
WASM = {way: guest(way) for way in WAYS}


class SlowContext(EchoContext):
    """Computes until it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self._cancelled = threading.Event()

    def compute(self) -> NnErrno:
        if self._cancelled.wait(20):
            raise Interrupted("cancelled")
        return NnErrno.SUCCESS

    def cancel(self) -> None:
        self._cancelled.set()


class SlowGraph(EchoGraph):
    def context(self, files: Files, stdout: Output) -> SlowContext:
        return SlowContext()


class SlowBackend:
    def preload(self, path: Path) -> None:
        pass

    def load(self, path: Path, target: object, config: str | None) -> SlowGraph:
        return SlowGraph()

    def close(self) -> None:
        pass


def slow_network() -> NeuralNetwork:
    return NeuralNetwork([Preload.parse("m:GGML:AUTO:none")], backends={Encoding.GGML: SlowBackend})


def ended(way: str, after: float) -> tuple[str, float]:
    """Run a guest whose streams nobody serves, and stop it ``after`` seconds.

    Answers how it ended, and how many seconds the stop took.
    """
    outcome: list[str] = []

    def run() -> None:
        try:
            outcome.append(f"exit {made.run()}")
        except GuestStopped as stopped:
            outcome.append(stopped.reason)
        except GuestTrap as trap:
            outcome.append(f"{trap.code}: {trap}")

    stdout = None if way == "fills" else lambda data: None
    with (
        piped_stdin(),
        piped_stdout(),
        Guest(WASM[way], nn=slow_network(), stdout=stdout, network=HostNetwork()) as made,
    ):
        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(after)
        started = time.monotonic()
        made.stop("asked")
        thread.join(10)
        took = time.monotonic() - started
        assert not thread.is_alive(), way
    return outcome[0], took


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_stays_behind() -> None:
    with Probe() as probe:  # wasmtime keeps a few descriptors of its own from the first guest on
        probe("fd_fdstat_get", 1, 0)
    rng = random.Random(3)
    before, threads = descriptors(), threading.active_count()
    slowest = 0.0
    for index in range(ROUNDS):
        way = list(WAYS)[index % len(WAYS)]
        outcome, took = ended(way, rng.choice([0, rng.random() * 0.02]))
        if way in ENDS:
            assert outcome in (
                "exit 7",
                "unreachable: wasm `unreachable` instruction executed",
                "asked",
            )
        else:
            assert outcome == "asked", (way, outcome)
        slowest = max(slowest, took)
    gc.collect()
    assert slowest < 1
    assert threading.active_count() == threads
    assert descriptors() == before
    assert EchoContext.opened == EchoGraph.opened == 0


@pytest.mark.parametrize("way", sorted(set(WAYS) - ENDS))
def test_a_stop_takes_no_time(way: str) -> None:
    outcome, took = ended(way, 0.1)
    assert outcome == "asked"
    assert took < 0.5


def test_a_stop_before_the_run() -> None:
    with Guest(WASM["spins"], nn=slow_network()) as made:
        made.stop("asked")
        with pytest.raises(GuestStopped, match="asked"):
            made.run()


def test_a_stop_after_the_run_and_twice() -> None:
    with Guest(WASM["exits"], nn=slow_network()) as made:
        assert made.run() == 7
        made.stop()
        made.stop()
    made.stop()
    made.close()
