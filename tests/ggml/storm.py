"""Several guests that call wasi-nn as they like, at once and on one network, and are stopped.

usage: storm SEED CALLS MODEL ...: each guest makes so many calls; prints what came of them and what
stayed behind. In a process of its own since a bug of llama.cpp would end it.
"""

import ctypes
import gc
import json
import logging
import random
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from stress import PROMPTS, metadata

from llamaedge_host import NeuralNetwork, Preload
from llamaedge_host.errors import BadPointer, Interrupted
from llamaedge_host.memory import Memory
from llamaedge_host.nn import NnErrno, Session
from llamaedge_host.nn.session import FUNCTIONS

GUESTS = 3
SIZE = 1 << 18
NAME, CONFIG, TENSOR, DATA, OUT = 16, 4096, 64, 65536, 32
WRONG = (0, 1, 3, SIZE - 1, SIZE, SIZE + 1, 2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1)
PLAIN = {"threads": 1, "ctx-size": 256, "n-predict": 3}
BEGIN = ("load_by_name_with_config", "init_execution_context", "set_input", "compute_single")
"""Calls that a guest begins with, without which chance seldom gets to a computation."""
LIFE = 120
"""Calls that a guest makes before another takes its place."""


class Guest:
    """One that holds what it was given, and asks for what it was not."""

    def __init__(self, network: NeuralNetwork, names: list[bytes], rng: random.Random) -> None:
        self.buffer = ctypes.create_string_buffer(SIZE)
        self.memory = Memory(lambda: (ctypes.addressof(self.buffer), SIZE))
        self.session: Session = network.session(self.memory, stdout=lambda _: None)
        self.names = names
        self.rng = rng
        self.graphs: list[int] = []
        self.contexts: list[int] = []

    def some(self, handles: list[int]) -> int:
        """A handle of these, mostly the last one."""
        return self.rng.choice([*handles[-1:] * 4, *handles, 0, 99, 2**32 - 1])

    def written(self, at: int, data: bytes) -> tuple[int, int]:
        """Where ``data`` is, and its length; or some other place."""
        if self.rng.random() < 0.03:
            return self.rng.choice(WRONG), self.rng.choice((len(data), *WRONG))
        self.memory.write(at, data)
        return at, len(data)

    def load_by_name(self) -> tuple[int, ...]:
        return (*self.written(NAME, self.rng.choice(self.names)), OUT)

    def load_by_name_with_config(self) -> tuple[int, ...]:
        name = self.written(NAME, self.rng.choice(self.names))
        return (*name, *self.written(CONFIG, self.config()), OUT)

    def config(self) -> bytes:
        made = metadata(self.rng) if self.rng.random() < 0.4 else dict(PLAIN)
        made |= {"single-wait": self.rng.choice((0, 5, 50))}
        return json.dumps(made).encode()[: self.rng.choice((None, None, None, None, 40))]

    def load(self) -> tuple[int, ...]:
        self.memory.write(
            CONFIG, struct.pack("<4I", *self.written(DATA, b"GGUF\3\0\0\0" * 9), 0, 2)
        )
        return (CONFIG, self.rng.choice((0, 1, 2, 2**31)), self.rng.randrange(8), 0, OUT)

    def init_execution_context(self) -> tuple[int, ...]:
        return (self.some(self.graphs), OUT)

    def set_input(self) -> tuple[int, ...]:
        index = self.rng.choice((0, 0, 0, 1, 2, 2**32 - 1))
        data = self.config() if index == 1 else self.rng.choice(PROMPTS)
        kind = self.rng.choice((3, 3, 3, 3, 2, 99))
        self.memory.write(TENSOR, struct.pack("<5I", OUT, 1, kind, *self.written(DATA, data)))
        return (self.some(self.contexts), index, TENSOR)

    def compute(self) -> tuple[int, ...]:
        return (self.some(self.contexts),)

    compute_single = fini_single = finalize_execution_context = compute

    def get_output(self) -> tuple[int, ...]:
        size = self.rng.choice((0, 1, 1000, 100_000, 2**32 - 1))
        return (self.some(self.contexts), self.rng.randrange(8), DATA, size, OUT)

    get_output_single = get_output

    def unload(self) -> tuple[int, ...]:
        return (self.some(self.graphs),)

    def call(self, name: str) -> int:
        """Make the call with such arguments, a wrong one among them now and then."""
        make: Callable[[], tuple[int, ...]] = getattr(self, name)
        arguments = list(make())
        if self.rng.random() < 0.03:
            arguments[self.rng.randrange(len(arguments))] = self.rng.choice(WRONG)
        function = self.session.resolve("wasi_ephemeral_nn", name, "i" * len(arguments), "i")
        assert function is not None
        try:
            errno = function(*arguments)
        except BadPointer:
            return self.session.fault
        assert errno is not None
        if errno == 0 and name.startswith("load") and arguments[-1] == OUT:
            self.graphs.append(self.memory.u32(OUT))
        elif errno == 0 and name == "init_execution_context" and arguments[-1] == OUT:
            self.contexts.append(self.memory.u32(OUT))
        return errno


CALLS = [
    name
    for name in FUNCTIONS
    for _ in range({"compute_single": 12, "set_input": 6, "compute": 6}.get(name, 2))
]
CALLS += ["load_by_name_with_config", "init_execution_context", "unload", "load"]


class Storm:
    """A guest after another, in one thread; another may stop them."""

    def __init__(self, network: NeuralNetwork, names: list[bytes], seed: str, calls: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.guest: Guest | None = None
        self.failure: BaseException | None = None
        self._network = network
        self._names = names
        self._rng = random.Random(seed)
        self._calls = calls

    def run(self) -> None:
        try:
            for _ in range(self._calls // LIFE):
                self._live()
        except BaseException as error:
            self.failure = error
            raise

    def _live(self) -> None:
        self.guest = guest = Guest(self._network, self._names, self._rng)
        try:
            for name in (*BEGIN, *self._rng.choices(CALLS, k=LIFE - len(BEGIN))):
                errno = NnErrno(guest.call(name))
                self.outcomes[name if errno is NnErrno.SUCCESS else errno.name] += 1
        except Interrupted:
            self.outcomes["stopped"] += 1
        finally:
            self.guest = None
            guest.session.close()


def main() -> None:
    logging.getLogger("llamaedge_host").setLevel(logging.CRITICAL)
    seed, calls = int(sys.argv[1]), int(sys.argv[2])
    names = [Path(each).stem for each in sys.argv[3:]]
    network = NeuralNetwork(
        [
            Preload.parse(f"{name}:GGML:AUTO:{path}")
            for name, path in zip(names, sys.argv[3:], strict=True)
        ]
    )
    storms = [
        Storm(network, [*map(str.encode, names), b"nobody"], f"{seed} {number}", calls)
        for number in range(GUESTS)
    ]
    threads = [threading.Thread(target=each.run) for each in storms]
    before = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    for thread in threads:
        thread.start()
    rng = random.Random(seed)
    while any(thread.is_alive() for thread in threads):
        threads[0].join(rng.random() * 2)
        if (guest := rng.choice(storms).guest) is not None:
            guest.session.interrupt()
    for thread in threads:
        thread.join()
    gc.collect()
    after = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    engines = network.statistics() if hasattr(network, "statistics") else {}
    network.close()
    outcomes = sum((each.outcomes for each in storms), Counter[str]())
    assert not [each.failure for each in storms if each.failure]
    said = {"before": before, "after": after, "engines": engines, "outcomes": outcomes}
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main()
