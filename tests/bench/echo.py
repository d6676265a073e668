"""An echo guest over the host's network against a plain Python selectors echo server.

Both wait for the connection to be readable, receive and send, for one client in a process of its
own that sends 64 bytes and waits for their return.
"""

import multiprocessing
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from ports import free_port
from report import Report
from wasmtime import wat2wasm

from llamaedge_host import Guest, GuestStopped, HostNetwork

REQUESTS = 20_000
SIZE = 64  # bytes
WASI = "wasi_snapshot_preview1"
FD, FLAGS, COUNT, ADDRESS, IOV, SUBSCRIPTION, EVENT = 0, 4, 8, 16, 32, 64, 128


def guest_text(port: int) -> bytes:
    """Binds 127.0.0.1:port, accepts one connection, and echoes what it polls readable."""
    return bytes(
        wat2wasm(f"""(module
        (import "{WASI}" "sock_open" (func $open (param i32 i32 i32) (result i32)))
        (import "{WASI}" "sock_bind" (func $bind (param i32 i32 i32) (result i32)))
        (import "{WASI}" "sock_listen" (func $listen (param i32 i32) (result i32)))
        (import "{WASI}" "sock_accept" (func $accept (param i32 i32) (result i32)))
        (import "{WASI}" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "{WASI}" "sock_recv" (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
        (import "{WASI}" "sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const {ADDRESS}) "\\18\\00\\00\\00\\04\\00\\00\\00\\7f\\00\\00\\01")
        (data (i32.const {IOV}) "\\00\\04\\00\\00\\00\\10\\00\\00")
        (data (i32.const {SUBSCRIPTION + 8}) "\\01")
        (func (export "_start") (local $fd i32)
            (drop (call $open (i32.const 1) (i32.const 2) (i32.const {FD})))
            (local.set $fd (i32.load (i32.const {FD})))
            (drop (call $bind (local.get $fd) (i32.const {ADDRESS}) (i32.const {port})))
            (drop (call $listen (local.get $fd) (i32.const 1)))
            (drop (call $accept (local.get $fd) (i32.const {FD})))
            (local.set $fd (i32.load (i32.const {FD})))
            (i32.store (i32.const {SUBSCRIPTION + 16}) (local.get $fd))
            (loop $again
                (drop (call $poll (i32.const {SUBSCRIPTION}) (i32.const {EVENT}) (i32.const 1)
                    (i32.const {COUNT})))
                (drop (call $recv (local.get $fd) (i32.const {IOV}) (i32.const 1) (i32.const 0)
                    (i32.const {COUNT}) (i32.const {FLAGS})))
                (i32.store (i32.const {IOV + 4}) (i32.load (i32.const {COUNT})))
                (drop (call $send (local.get $fd) (i32.const {IOV}) (i32.const 1) (i32.const 0)
                    (i32.const {COUNT})))
                (i32.store (i32.const {IOV + 4}) (i32.const 4096))
                (br_if $again (i32.load (i32.const {COUNT}))))))""")
    )


def plain(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        connection, _ = listener.accept()
    with connection, selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        while True:
            selector.select()
            data = connection.recv(4096)
            if not data:
                return
            connection.send(data)


def guest(port: int) -> None:
    with Guest(guest_text(port), network=HostNetwork()) as made, suppress(GuestStopped):
        made.run()


def client(port: int, results: "multiprocessing.SimpleQueue[float]") -> None:
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            time.sleep(0.01)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    message = bytes(SIZE)
    with connection:
        started = time.perf_counter()
        for _ in range(REQUESTS):
            connection.sendall(message)
            left = SIZE
            while left:
                left -= len(connection.recv(left))
        results.put(REQUESTS / (time.perf_counter() - started))


def rate(server: Callable[[int], None]) -> float:
    """Requests a second that one client gets from ``server``."""
    port = free_port()
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    thread = threading.Thread(target=server, args=(port,))
    process = context.Process(target=client, args=(port, results))
    process.start()
    thread.start()
    value: float = results.get()
    process.join()
    thread.join()
    return value


def measure(report: Report, rounds: int) -> None:
    for _ in range(rounds):
        report.compare(
            "requests/s", {"plain Python": partial(rate, plain), "guest": partial(rate, guest)}
        )
