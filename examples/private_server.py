"""Serve a guest on a private network and talk to it with httpx: no port is opened.

usage: python examples/private_server.py MODEL.gguf [GUEST.wasm]
"""

import sys
import tempfile
import threading
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from queue import Queue

import httpx

from llamaedge_host import Guest, GuestStopped, NeuralNetwork, Preload, PrivateNetwork

BUNDLED = Path(str(files("llamaedge_launcher") / "llama-api-server.wasm"))


def ask(model: Path, question: str, module: Path = BUNDLED) -> str:
    """The answer of a chat server guest that only this function can reach."""
    listening: Queue[Path] = Queue()
    nn = NeuralNetwork([Preload.parse(f"default:GGML:AUTO:{model}")])
    with tempfile.TemporaryDirectory() as folder:
        network = PrivateNetwork(Path(folder), listening.put)
        args = ["--prompt-template", "chatml", "--ctx-size", "1024"]
        with Guest(module, args=args, nn=nn, network=network) as guest:
            thread = threading.Thread(target=_serve, args=(guest,))
            thread.start()
            try:
                transport = httpx.HTTPTransport(uds=str(listening.get(timeout=60)))
                with httpx.Client(transport=transport, timeout=120) as client:
                    answer = client.post(
                        "http://guest/v1/chat/completions",
                        json={
                            "model": "default",
                            "messages": [{"role": "user", "content": question}],
                            "max_completion_tokens": 24,
                        },
                    )
            finally:
                guest.stop()
                thread.join()
    nn.close()
    answer.raise_for_status()
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content


def _serve(guest: Guest) -> None:
    with suppress(GuestStopped):
        guest.run()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    print(ask(Path(sys.argv[1]), "What is the capital of France?", *map(Path, sys.argv[2:3])))
