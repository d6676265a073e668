"""Guests that hang, in a worker process: each is replaced by another one."""

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from wasmtime import wat2wasm

from llamaedge_host import Activity
from llamaedge_launcher.control import (
    Alive,
    Ended,
    Event,
    Failed,
    Listening,
    WorkerConfig,
    decode_event,
)
from llamaedge_launcher.early import COMMAND
from llamaedge_launcher.keeper import Keeper

LIMIT = 1.5  # seconds
LOOPS = "(loop $again (br $again))"
RECEIVES = """
    (drop (call $recv (i32.load (i32.const 8)) (i32.const 64) (i32.const 1) (i32.const 0)
          (i32.const 12) (i32.const 40)))"""


def guest(act: str) -> bytes:
    """A guest that listens, and does ``act`` with its first connection."""
    preview = "wasi_snapshot_preview1"
    return bytes(
        wat2wasm(f"""(module
        (import "{preview}" "sock_open" (func $open (param i32 i32 i32) (result i32)))
        (import "{preview}" "sock_bind" (func $bind (param i32 i32 i32) (result i32)))
        (import "{preview}" "sock_listen" (func $listen (param i32 i32) (result i32)))
        (import "{preview}" "sock_accept" (func $accept (param i32 i32) (result i32)))
        (import "{preview}" "sock_recv"
          (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
          (drop (call $open (i32.const 1) (i32.const 2) (i32.const 0)))
          (i32.store (i32.const 16) (i32.const 32))
          (i32.store (i32.const 20) (i32.const 4))
          (i32.store (i32.const 32) (i32.const 0x0100007f))
          (i32.store (i32.const 64) (i32.const 4096))
          (i32.store (i32.const 68) (i32.const 1024))
          (drop (call $bind (i32.load (i32.const 0)) (i32.const 16) (i32.const 80)))
          (drop (call $listen (i32.load (i32.const 0)) (i32.const 8)))
          (drop (call $accept (i32.load (i32.const 0)) (i32.const 8)))
          {act}))""")
    )


@contextmanager
def worker(folder: Path, act: str) -> Iterator[Iterator[Event]]:
    """What a worker of this guest tells, but for that it is alive."""
    module, private = folder / "g.wasm", folder / "private"
    module.write_bytes(guest(act))
    private.mkdir()
    config = WorkerConfig(
        folder=str(private),
        guest=str(module),
        args=(),
        env={},
        dirs=(),
        preloads=(),
        instances=1,
        parallel=None,
        log_level="info",
        hang_timeout=LIMIT,
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(COMMAND, stdin=theirs.fileno())
        theirs.close()
        try:
            ours.sendall(config.encode())
            ours.settimeout(60)
            with ours.makefile("rb") as lines:
                yield (event for event in map(decode_event, lines) if not isinstance(event, Alive))
        finally:
            process.kill()
            process.wait()


def connect(event: Event) -> socket.socket:
    assert isinstance(event, Listening)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(event.path)
    return connection


def test_a_guest_that_loops_is_replaced(tmp_path: Path) -> None:
    with worker(tmp_path, LOOPS) as events:
        first = next(events)
        assert isinstance(first, Listening)
        with connect(first) as connection:
            ended = next(events)
            assert ended == Ended(first.path, "the guest g.wasm hung in a loop for 1.5 s")
            again = next(events)
            assert isinstance(again, Listening)
            assert again.path != first.path
            assert connection.recv(1) == b""


def test_a_guest_that_waits_is_left_alone(tmp_path: Path) -> None:
    with worker(tmp_path, RECEIVES) as events, connect(next(events)) as connection:
        connection.settimeout(3 * LIMIT)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.sendall(b"x")
        assert "exit code 0" in str(next(events))


class Stuck:
    """A guest in a host call that never returns."""

    call = "wasi_snapshot_preview1.fd_read"
    released = threading.Event()

    def __init__(self, *_: object, network: Any, **__: object) -> None:
        self.listen = network
        self.activity = Activity(1, self.call, False)

    def __enter__(self) -> "Stuck":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self) -> int:
        self.listen()
        self.released.wait(60)
        return 0

    def stop(self, reason: str) -> None:
        pass


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Keeper, list[Event]]]:
    """A keeper of stuck guests, and what it tells."""
    told: list[Event] = []

    def network(folder: Path, on_listen: Callable[[Path], None], _: object) -> Callable[[], None]:
        return lambda: on_listen(folder / "80.sock")

    monkeypatch.setattr("llamaedge_host.Guest", Stuck)
    monkeypatch.setattr("llamaedge_host.PrivateNetwork", network)
    config = WorkerConfig(
        str(tmp_path), "g.wasm", (), {}, (), (), 1, None, "info", hang_timeout=LIMIT
    )
    nn: Any = SimpleNamespace(statistics=dict, problem=None, limits=None)
    Stuck.released.clear()
    yield Keeper(0, config, [], nn, told.append), told
    Stuck.released.set()


def look(keeper: Keeper, told: list[Event], count: int) -> None:
    """Look until so much has been told."""
    deadline = time.monotonic() + 20
    while len(told) < count:
        assert time.monotonic() < deadline, told
        keeper.look(0.25)
        time.sleep(0.01)


def test_a_guest_that_cannot_be_stopped_is_given_up(
    keeper: tuple[Keeper, list[Event]], tmp_path: Path
) -> None:
    keeps, told = keeper
    keeps.start()
    look(keeps, told, 9)
    paths = [str(tmp_path / f"0.{run}" / "80.sock") for run in range(1, 6)]
    message = f"the guest g.wasm hung in {Stuck.call} for 1.5 s, and cannot be stopped"
    expected: list[Event] = []
    for path in paths:
        expected += [Listening(path), Ended(path, message, cut=True)]
    assert told == expected[:9]
    look(keeps, told, 10)
    assert told[9] == Failed(message), "the worker must end before its threads are too many"
    Stuck.released.set()
    time.sleep(0.1)
    assert len(told) == 10, "a thread that was given up tells nothing"


def test_computations_that_cannot_be_stopped_end_the_worker(
    keeper: tuple[Keeper, list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        ru_utime = ru_stime = 0.0
        ru_majflt = ru_inblock = 0

    monkeypatch.setattr("resource.getrusage", lambda who: Usage)
    monkeypatch.setattr(Stuck, "call", "wasi_ephemeral_nn.compute")
    keeps, told = keeper
    keeps.start()
    look(keeps, told, 2)
    assert isinstance(told[1], Failed)
    assert "wasi_ephemeral_nn.compute" in told[1].message


def test_a_thread_that_cannot_be_started_ends_the_worker(
    keeper: tuple[Keeper, list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeps, told = keeper
    keeps.start()
    look(keeps, told, 1)
    monkeypatch.setattr(keeps, "start", lambda: (_ for _ in ()).throw(RuntimeError("no thread")))
    look(keeps, told, 3)
    assert isinstance(told[2], Failed)
    assert "no thread" in told[2].message
