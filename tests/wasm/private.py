"""Servers of the bundled guest inside of the tests' own process, with no port."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Queue

import httpx

from llamaedge_host import Guest, GuestStopped, NeuralNetwork, Preload, PrivateNetwork


@contextmanager
def serving(guest: Path, model: Path, *arguments: str) -> Iterator[httpx.Client]:
    """A client of a server that has answered nothing yet."""
    listening: Queue[Path] = Queue()
    nn = NeuralNetwork([Preload.parse(f"default:GGML:AUTO:{model}")])
    with tempfile.TemporaryDirectory() as folder:
        network = PrivateNetwork(Path(folder), listening.put)
        with Guest(guest, args=arguments, nn=nn, network=network) as running:
            thread = threading.Thread(target=_run, args=(running,))
            thread.start()
            try:
                transport = httpx.HTTPTransport(uds=str(listening.get(timeout=60)))
                with httpx.Client(
                    base_url="http://guest", transport=transport, timeout=60
                ) as client:
                    yield client
            finally:
                running.stop()
                thread.join()
    nn.close()


def _run(guest: Guest) -> None:
    with suppress(GuestStopped):
        guest.run()
