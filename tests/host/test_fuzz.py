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
from guests.probe import WASI_IMPORTS, Import, Probe
from wasmtime import wat2wasm

from llamaedge_host import (
    Guest,
    GuestStopped,
    GuestTrap,
    HostNetwork,
    Preopen,
    PrivateNetwork,
)
from llamaedge_host.imports import HostFunction
from llamaedge_host.nn import NnErrno
from llamaedge_host.preview1.errnos import Errno

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
RARE = {"proc_exit": 0.02, "clock_time_get": 0.02}
WEIGHTS = [RARE.get(name, 1.0) for _, name, _, _ in IMPORTS]
SET_FLAGS = next(index for index, each in enumerate(IMPORTS) if each[1] == "fd_fdstat_set_flags")
WASI_ERRNOS = frozenset(map(int, Errno))
NN_ERRNOS = frozenset(map(int, NnErrno))

NAMES = b"file\0link\0../../etc/passwd\0m\0stderr\0127.0.0.1\0{}\0/etc/passwd\0"
NAMES_AT, WORDS_AT, WORDS = 0x100, 0x1000, 0x400
MODEL_AT, CONFIG_AT, PROMPT_AT, TENSOR_AT, OUTPUT_AT = 0x9000, 0x9008, 0x9010, 0x9020, 0x9040
"""What lies there is written anew before each call."""
GRAPH, CONTEXT = -1, -2
"""Stand for the newest graph and context of a guest, in ``VALID``."""
DESCRIPTORS = [0, 1, 2, 3, 4, 5, 6, *range(FIRST, FIRST + 12)]
BOUNDARIES = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 26, 48, 64, 128, 255, 1024, 1025,
    NAMES_AT, NAMES_AT + 5, NAMES_AT + 27, WORDS_AT, 0x2000, 0x4000,
    SIZE - 128, SIZE - 8, SIZE - 4, SIZE - 1, SIZE, SIZE + 1,
    0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF,
]  # fmt: skip
VALID = {
    "load_by_name": (MODEL_AT, 1, OUTPUT_AT),
    "load_by_name_with_config": (MODEL_AT, 1, CONFIG_AT, 2, OUTPUT_AT),
    "init_execution_context": (GRAPH, OUTPUT_AT),
    "set_input": (CONTEXT, 0, TENSOR_AT),
    "compute": (CONTEXT,),
    "compute_single": (CONTEXT,),
    "get_output_single": (CONTEXT, 0, OUTPUT_AT + 8, 64, OUTPUT_AT),
}
"""Arguments without which chance hardly ever gets through a computation."""
COMPUTATION = (
    "load_by_name", "init_execution_context", "set_input", "compute_single",
    "get_output_single", "compute_single", "compute", "load_by_name_with_config",
)  # fmt: skip
"""Calls that are made in this order now and then, with others between them."""
INDEX = {name: index for index, (_, name, _, _) in enumerate(IMPORTS)}
BOUNDARIES_64 = [0, 1, 1000, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


def fuzz_wasm() -> bytes:
    """A guest that makes the calls its driver says, with the arguments it says."""
    imported, wrappers = [], []
    for index, (module, name, params, results) in enumerate(IMPORTS):
        types = " ".join({"i": "i32", "I": "i64"}[letter] for letter in params)
        result = "(result i32)" if results else ""
        imported.append(f'(import "{module}" "{name}" (func $i{index} (param {types}) {result}))')
        arguments = " ".join(
            f"(call $argument (i32.const {each}))"
            if letter == "I"
            else f"(i32.wrap_i64 (call $argument (i32.const {each})))"
            for each, letter in enumerate(params)
        )
        ending = "" if results else "(i32.const 0)"
        wrappers.append(f"(func $w{index} (result i32) (call $i{index} {arguments}) {ending})")
    rng = random.Random(0)
    words = struct.pack(f"<{WORDS}I", *(rng.choice(BOUNDARIES) for _ in range(WORDS)))
    tensor = struct.pack("<5I", PROMPT_AT, 1, 3, PROMPT_AT, 16)
    valid = b"m".ljust(8) + b"{}".ljust(8) + b"the sea, the sea" + tensor
    data = [(NAMES_AT, NAMES), (WORDS_AT, words)]
    text = f"""(module
        (import "fuzz" "next" (func $next (result i32)))
        (import "fuzz" "argument" (func $argument (param i32) (result i64)))
        (import "fuzz" "answer" (func $answer (param i32)))
        {" ".join(imported)}
        (memory (export "memory") 8 16)
        (data $valid "{_escaped(valid)}")
        {" ".join(f'(data (i32.const {at}) "{_escaped(what)}")' for at, what in data)}
        (type $wrapper (func (result i32)))
        (table funcref (elem {" ".join(f"$w{index}" for index in range(len(IMPORTS)))}))
        {" ".join(wrappers)}
        (func (export "_start")
            (loop $again
                (memory.init $valid
                    (i32.const {MODEL_AT}) (i32.const 0) (i32.const {len(valid)}))
                (call $answer (call_indirect (type $wrapper) (call $next)))
                (br $again))))"""
    return bytes(wat2wasm(text))


def _escaped(data: bytes) -> str:
    return "".join(f"\\{byte:02x}" for byte in data)


class Done(Exception):
    """Enough calls were made."""


class Driver:
    """Says what the guest calls, sees what comes back, and stops a guest that blocks."""

    fault = 0

    def __init__(self, seed: str) -> None:
        self.calls = 0
        self.name = ""
        self.outcomes: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        self.guest: Guest | None = None
        self._rng = random.Random(seed)
        self._params = ""
        self._valid: tuple[int, ...] | None = None
        self._ahead: list[str] = []
        self._unblock = False
        self._done = threading.Event()
        self._watchdog = threading.Thread(target=self._watch)

    def resolve(self, module: str, name: str, params: str, results: str) -> HostFunction | None:
        own: dict[str, HostFunction] = {
            "next": self.next,
            "argument": self.argument,
            "answer": self.answer,
        }
        return own[name] if module == "fuzz" else None

    def next(self) -> int:
        """The number of the import to call; a socket that may block is set not to, mostly."""
        if self.calls >= CALLS:
            raise Done
        self.calls += 1
        if not self._ahead and self._rng.random() < 0.02:
            self._ahead = list(COMPUTATION)
        likely = 0.5
        if self._unblock:
            self._unblock = False
            index = SET_FLAGS
        elif self._ahead and self._rng.random() < 0.7:
            index, likely = INDEX[self._ahead.pop(0)], 1.0
        else:
            (index,) = self._rng.choices(range(len(IMPORTS)), WEIGHTS)
            self._unblock = IMPORTS[index][1] in ("sock_accept", "sock_open", "sock_open_v2")
        _, self.name, self._params, _ = IMPORTS[index]
        self._valid = VALID.get(self.name) if self._rng.random() < likely else None
        return index

    def argument(self, number: int) -> int:
        """The value of a parameter: a boundary, a place in memory, or anything."""
        if self._valid is not None:
            value = self._valid[number]
            return max(self._newest(value), 0) if value < 0 else value
        chance = self._rng.random()
        if self._params[number] == "I":
            return self._rng.choice(BOUNDARIES_64) if chance < 0.8 else self._rng.getrandbits(64)
        if number == 0 and chance < 0.8:
            return self._rng.choice(DESCRIPTORS)
        if self.name == "fd_fdstat_set_flags" and chance < 0.9:
            return NONBLOCK
        if chance < 0.7:
            return self._rng.choice(BOUNDARIES)
        if chance < 0.9:
            return self._rng.randrange(0, 0x8000, 8)
        return self._rng.getrandbits(32)

    def _newest(self, kind: int) -> int:
        """The newest handle: a name is one graph until that is unloaded."""
        if kind == CONTEXT:
            return self.made["init_execution_context"] - 1
        return self.made["unload"] + self.made["load"]

    def answer(self, errno: int) -> None:
        """What the call answered."""
        known = NN_ERRNOS if self.name in NN_SIGNATURES else WASI_ERRNOS
        assert errno in known, (self.name, errno)
        self.outcomes["refused" if errno else "succeeded"] += 1
        if not errno:
            self.outcomes[self.name] += 1
            self.made[self.name] += 1

    def interrupt(self) -> None: ...

    def close(self) -> None: ...

    def _watch(self) -> None:
        seen = -1
        while not self._done.wait(0.05):
            if self.calls == seen and self.guest is not None:
                self.guest.stop("a call blocked")
            seen = self.calls

    def __enter__(self) -> "Driver":
        self._watchdog.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watchdog.join()


def storm(driver: Driver, wasm: bytes, network: str, folder: Path, private: Path) -> None:
    """Make the calls, with a new guest for each that ended."""
    empty = folder / "empty"
    empty.touch()
    while driver.calls < CALLS:
        reach = HostNetwork(bind=["127.0.0.1:0"], connect=[], allow_unix=True)
        with Guest(
            wasm,
            dirs=[Preopen(folder, "."), Preopen(folder, "readonly", True)],
            stdin=empty,
            stdout=lambda data: None,
            stderr=lambda data: None,
            nn=echo_network(),
            network=reach if network == "host" else PrivateNetwork(private),
            providers=[driver],
        ) as driver.guest:
            driver.made.clear()
            try:
                driver.guest.run()
            except GuestStopped:
                driver.outcomes["blocked"] += 1
            except GuestTrap as trap:
                assert driver.calls >= CALLS, (driver.name, trap)
            else:
                driver.outcomes["exited"] += 1
            finally:
                driver.guest = None


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
    wasm = fuzz_wasm()
    threads, before = threading.active_count(), descriptors()
    with Driver(network) as driver:
        storm(driver, wasm, network, folder, private)
    gc.collect()
    assert driver.outcomes["succeeded"] > CALLS * 0.02, driver.outcomes
    assert driver.outcomes["refused"] > CALLS * 0.5, driver.outcomes
    assert driver.outcomes["exited"] > 0
    for name in VALID:
        assert driver.outcomes[name] > CALLS // 200, (name, driver.outcomes)
    assert threading.active_count() == threads
    assert descriptors() == before
    assert list(private.iterdir()) == []
    assert EchoContext.opened == EchoGraph.opened == 0
