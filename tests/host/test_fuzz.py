"""Every import with any arguments: nothing but errnos comes back, and nothing stays behind."""

import gc
import logging
import random
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from guests.nn import SIGNATURES as NN_SIGNATURES
from guests.nn import EchoContext, EchoGraph, echo_network
from guests.probe import WASI_IMPORTS, Import, Probe, probe_wasm

from llamaedge_host import GuestExit, GuestStopped, GuestTrap, HostNetwork, Preopen, PrivateNetwork
from llamaedge_host.errno import Errno

CALLS = 50_000  # on each of two networks
SIZE = 8 * 65536
FIRST = 65536
NONBLOCK = 4
IMPORTS: list[Import] = [
    *WASI_IMPORTS,
    ("wasi_snapshot_preview1", "proc_exit", "i", ""),
    ("wasi:logging/logging", "log", "iiiii", ""),
    *(("wasi_ephemeral_nn", name, params, "i") for name, params in NN_SIGNATURES.items()),
]
WEIGHTS = [{"proc_exit": 0.02, "clock_time_get": 0.02}.get(name, 1.0) for _, name, _, _ in IMPORTS]
ENDS_A_GUEST = {"clock_time_get"}
"""wasmtime's own, which guests call too often for a way through Python."""

WASM = probe_wasm(IMPORTS)
NAMES = b"file\0link\0../../etc/passwd\0m\0stderr\0127.0.0.1\0{}\0/etc/passwd\0"
NAMES_AT = 0x100
DESCRIPTORS = [0, 1, 2, 3, 4, 5, 6, *range(FIRST, FIRST + 12)]
BOUNDARIES = [
    *(0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 26, 48, 64, 128, 255, 1024, 1025),
    *(NAMES_AT, NAMES_AT + 5, NAMES_AT + 27, 0x1000, 0x2000, 0x4000),
    *(SIZE - 128, SIZE - 8, SIZE - 4, SIZE - 1, SIZE, SIZE + 1),
    *(0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF),
]
BOUNDARIES_64 = [0, 1, 1000, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


def argument(rng: random.Random, letter: str, first: bool) -> int:
    chance = rng.random()
    if letter == "I":
        return rng.choice(BOUNDARIES_64) if chance < 0.8 else rng.getrandbits(64)
    if first and chance < 0.8:
        return rng.choice(DESCRIPTORS)
    if chance < 0.7:
        return rng.choice(BOUNDARIES)
    if chance < 0.9:
        return rng.randrange(0, 0x8000, 8)
    return rng.getrandbits(32)


class Watchdog:
    """Stops the guest of a call that blocks."""

    def __init__(self) -> None:
        self.probe: Probe | None = None
        self.calls = 0
        self.call = ""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        seen = -1
        while not self._done.wait(0.05):
            if self.calls == seen and self.probe is not None:
                self.probe.guest.stop("a call blocked")
            seen = self.calls

    def __enter__(self) -> "Watchdog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def prepared(rng: random.Random, network: str, folder: Path, private: Path) -> Probe:
    """A new guest whose memory holds small numbers, names and a few sockets."""
    empty = folder / "empty"
    empty.touch()
    probe = Probe(
        imports=IMPORTS,
        wasm=WASM,
        dirs=[Preopen(folder, "."), Preopen(folder, "readonly", True)],
        stdin=empty,
        stdout=lambda data: None,
        stderr=lambda data: None,
        nn=echo_network(),
        network=PrivateNetwork(private)
        if network == "private"
        else HostNetwork(bind=["127.0.0.1:0"], connect=[], allow_unix=True),
    )
    words = [rng.choice(BOUNDARIES) for _ in range(0x1000 // 4)]
    probe.write(0x1000, struct.pack(f"<{len(words)}I", *words))
    probe.write(NAMES_AT, NAMES)
    for kind in (1, 2, 2):
        if probe("sock_open", 1, kind, 0) == 0:
            probe("fd_fdstat_set_flags", FIRST, NONBLOCK)
    return probe


def storm(rng: random.Random, network: str, folder: Path, private: Path) -> Counter[str]:
    """Make the calls; how many answered, exited and blocked."""
    outcomes: Counter[str] = Counter()
    with Watchdog() as watchdog:
        while watchdog.calls < CALLS:
            with prepared(rng, network, folder, private) as probe:
                watchdog.probe = probe
                try:
                    while watchdog.calls < CALLS:
                        watchdog.calls += 1
                        outcomes[call(rng, probe, watchdog)] += 1
                except GuestExit:
                    outcomes["exited"] += 1
                except GuestTrap:
                    assert watchdog.call in ENDS_A_GUEST
                except GuestStopped:
                    outcomes["blocked"] += 1
                finally:
                    watchdog.probe = None
    return outcomes


def call(rng: random.Random, probe: Probe, watchdog: Watchdog) -> str:
    (_, name, params, _) = rng.choices(IMPORTS, WEIGHTS)[0]
    if name in ("sock_accept", "sock_accept_v2", "sock_open") and rng.random() < 0.95:
        fd = rng.choice(DESCRIPTORS)
        probe("fd_fdstat_set_flags", fd, NONBLOCK)
    watchdog.call = name
    arguments = [argument(rng, letter, index == 0) for index, letter in enumerate(params)]
    answer = probe(name, *arguments)
    assert answer <= max(Errno), (name, arguments, answer)
    return "succeeded" if answer == 0 else "refused"


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    outside = tmp_path / "outside"
    outside.write_text("not the guest's")
    inside = tmp_path / "inside"
    inside.mkdir()
    yield inside
    assert outside.read_text() == "not the guest's"
    assert {each.name for each in tmp_path.iterdir()} == {"inside", "outside"}


@pytest.mark.parametrize("network", ["host", "private"])
def test_any_arguments(
    network: str,
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, logger="llamaedge_host")
    private = tmp_path_factory.mktemp("n")
    with Probe() as probe:  # wasmtime keeps a few descriptors of its own from the first guest on
        probe("fd_fdstat_get", 1, 0)
    threads, before = threading.active_count(), descriptors()
    outcomes = storm(random.Random(network), network, folder, private)
    gc.collect()
    assert outcomes["succeeded"] > CALLS * 0.02, outcomes
    assert outcomes["refused"] > CALLS * 0.5, outcomes
    assert outcomes["exited"] > 0
    assert threading.active_count() == threads
    assert descriptors() == before
    assert list(private.iterdir()) == []
    assert EchoContext.opened == EchoGraph.opened == 0
