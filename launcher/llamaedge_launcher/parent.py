"""The process that started a server from Python: told when it is ready, and outlived by none."""

import os
import signal
import socket
import threading
from contextlib import suppress


class Parent:
    """The other end of the socket that ``descriptor`` is. This process ends when it closes."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        threading.Thread(target=self._watch, daemon=True).start()

    def tell(self, url: str) -> None:
        """The server answers at ``url``."""
        with suppress(OSError):
            self._socket.sendall(f"{url}\n".encode())

    def _watch(self) -> None:
        with suppress(OSError):
            self._socket.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)
