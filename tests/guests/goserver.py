"""The Go servers, running."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from llamaedge_host import Guest, GuestStopped

from .golang import built


@contextmanager
def go_server(name: str, port: int, **options: object) -> Iterator[Guest]:
    """The server on ``port`` of 127.0.0.1 until the block ends; keyword arguments are Guest's."""
    guest = Guest(built(name), args=[f"127.0.0.1:{port}"], **options)  # type: ignore[arg-type]
    ended: list[type[BaseException]] = []

    def run() -> None:
        try:
            guest.run()
        except BaseException as error:
            ended.append(type(error))  # the error itself holds the compiled module

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield guest
    finally:
        guest.stop()
        thread.join()
        guest.close()
    assert ended == [GuestStopped]


def connect(port: int) -> socket.socket:
    """A connection to the server, once it listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=20)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.02)


def exchange(connection: socket.socket, data: bytes) -> bytes:
    """Send ``data`` and receive as much."""
    connection.sendall(data)
    return connection.recv(len(data), socket.MSG_WAITALL)
