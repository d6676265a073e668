"""How headers are written on the wire."""

import socket
from urllib.parse import urlsplit

import pytest

from .conftest import Front


def head(front: Front, path: str) -> list[str]:
    """The lines of the response's head, as they came."""
    address = urlsplit(front.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536)
    return received.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/health", {"Content-Type", "X-Request-Id"}),
        ("/metrics", {"Content-Type", "Process-Start-Time-Unix"}),
        ("/nowhere/at/all", {"Content-Type", "X-Request-Id"}),
    ],
)
def test_names_of_headers_are_titled(front: Front, path: str, names: set[str]) -> None:
    lines = head(front, path)
    assert names <= {line.partition(":")[0] for line in lines}
    framing = [line.partition(":")[0].lower() for line in lines]
    assert framing.count("content-length") == 1
