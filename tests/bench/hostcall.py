"""A host call from wasm to Python and back: an empty one, and two on a socket.

Each figure is the median over batches of calls in a wasm loop, 100,000 calls a round, less
nothing; the system call of sock_send is measured by itself, from Python, on the same pair.
"""

import socket
import time
from collections.abc import Callable
from statistics import median

from report import Report
from wasmtime import wat2wasm

from llamaedge_host import Guest
from llamaedge_host.sockets.address import Family, Kind
from llamaedge_host.sockets.network import Found, Query
from llamaedge_host.sockets.socket import RIGHTS_OPENED, Socket

CALLS = 100_000
BATCH = 1000
PAYLOAD = 100  # bytes
SOCKET = "(i32.load (i32.const 0))"
LOOPS = {
    "empty": "(call $yield)",
    "fd_fdstat_get of a socket": f"(call $fdstat {SOCKET} (i32.const 64))",
    "sock_send of 100 bytes": f"""(call $send {SOCKET} (i32.const 128) (i32.const 1) (i32.const 0)
        (i32.const 8))""",
}


class _Pair:
    """A network whose one socket is an end of a socket pair."""

    def __init__(self) -> None:
        self.ours, self._theirs = socket.socketpair()
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)

    def open(self, family: Family, kind: Kind) -> Socket:
        return Socket(self._theirs, family, kind, RIGHTS_OPENED)

    def resolve(self, query: Query) -> list[Found]:
        raise OSError(query)

    def close(self) -> None:
        self.ours.close()

    def drain(self) -> None:
        self.ours.setblocking(False)
        try:
            while self.ours.recv(1 << 20):
                pass
        except BlockingIOError:
            pass


class _Empty:
    """A provider of one host function that does nothing."""

    fault = 21

    def resolve(
        self, module: str, name: str, params: str, results: str
    ) -> Callable[[], int] | None:
        return (lambda: 0) if (module, name) == ("bench", "empty") else None

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


def guest_text() -> bytes:
    loops = "".join(
        f"""(func (export "{name}") (param $n i32) (loop $again (drop {call})
            (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br_if $again (local.get $n))))"""
        for name, call in LOOPS.items()
    )
    wasi = "wasi_snapshot_preview1"
    return bytes(
        wat2wasm(f"""(module
        (import "bench" "empty" (func $yield (result i32)))
        (import "{wasi}" "sock_open" (func $open (param i32 i32 i32) (result i32)))
        (import "{wasi}" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
        (import "{wasi}" "sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 128) "\\00\\02\\00\\00\\64\\00\\00\\00")
        (func (export "open") (result i32)
            (call $open (i32.const 1) (i32.const 2) (i32.const 0)))
        {loops})""")
    )


def measure(report: Report, rounds: int) -> None:
    network = _Pair()
    with Guest(guest_text(), network=network, providers=[_Empty()]) as guest:
        assert guest.call("open") == 0
        for _ in range(rounds):
            for name in LOOPS:
                guest.call(name, 100)
                network.drain()
                report.add(name, per_call(lambda name=name: guest.call(name, BATCH), network), "us")  # type: ignore[misc]
            alone = per_call(lambda: _send(network), network)
            report.add("socket.send of 100 bytes, from Python alone", alone, "us")
    for one, other in zip(
        report.values("sock_send of 100 bytes"),
        report.values("socket.send of 100 bytes, from Python alone"), strict=True,
    ):  # fmt: skip
        report.add("sock_send less the socket's own", one - other, "us")


def _send(network: _Pair) -> None:
    send, data = network._theirs.send, bytes(PAYLOAD)
    for _ in range(BATCH):
        send(data)


def per_call(batch: Callable[[], object], network: _Pair) -> float:
    """Microseconds a call, the median of all batches."""
    taken = []
    for _ in range(CALLS // BATCH):
        started = time.perf_counter()
        batch()
        taken.append((time.perf_counter() - started) / BATCH * 1e6)
        network.drain()
    return median(taken)
