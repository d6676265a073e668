"""Servers on Go's own net and net/http: its poller, its sockets, its goroutines."""

import os
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from guests.goserver import connect, exchange, go_server
from guests.probe import Probe

CLIENTS, CONNECTIONS, EXCHANGES = 20, 5, 5
HTTP_CONNECTIONS, REQUESTS = 50, 8


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(scope="module")
def runtime() -> None:
    """wasmtime opens descriptors of its own for the first guest, and keeps them."""
    with Probe() as probe:
        assert probe("sched_yield") == 0
        assert probe("fd_fdstat_get", 1, 0) == 0


@pytest.fixture
def port(runtime: None, free_port: int) -> Iterator[int]:
    before = descriptors()
    with go_server("echo", free_port):
        yield free_port
    assert descriptors() == before


def test_an_exchange(port: int) -> None:
    with connect(port) as connection:
        for size in (1, 100, 1_000_000):
            assert exchange(connection, os.urandom(1) * size)


def test_idle_and_busy_connections_together(port: int) -> None:
    idle = [connect(port) for _ in range(20)]
    with connect(port) as busy:
        for _ in range(20):
            assert exchange(busy, b"busy") == b"busy"
    for connection in idle:
        assert exchange(connection, b"awake") == b"awake"
        connection.close()


def test_many_clients_at_once_leave_nothing_open(port: int) -> None:
    connect(port).close()
    before = descriptors()
    failures: list[BaseException] = []

    def client() -> None:
        try:
            for _ in range(CONNECTIONS):
                with connect(port) as connection:
                    for _ in range(EXCHANGES):
                        assert exchange(connection, b"x" * 100) == b"x" * 100
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    deadline = time.monotonic() + 5
    while descriptors() > before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_idle_server_costs_no_cpu_time(port: int) -> None:
    with connect(port) as connection:
        exchange(connection, b"x")
        before = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - before < 0.1


def test_http_requests_leave_nothing_open(runtime: None, free_port: int) -> None:
    before = descriptors()
    with go_server("http", free_port):
        connect(free_port).close()
        connections = [HTTPConnection("127.0.0.1", free_port) for _ in range(HTTP_CONNECTIONS)]
        for _ in range(REQUESTS):
            bodies = [os.urandom(100) for _ in connections]
            for connection, body in zip(connections, bodies, strict=True):
                connection.request("POST", "/", body)
            for connection, body in zip(connections, bodies, strict=True):
                assert connection.getresponse().read() == body
        for connection in connections:
            connection.close()
    assert descriptors() == before
