"""Run a guest from Python with a preloaded model, and read what it writes.

usage: python examples/run_guest.py MODEL.gguf 'The capital of France is'
"""

import sys
from pathlib import Path

from wasmtime import wat2wasm

from llamaedge_host import Guest, NeuralNetwork, Preload


def complete(model: Path, prompt: str) -> str:
    """What the guest complete.wat, with the model as "default", says after ``prompt``."""
    module = bytes(wat2wasm(Path(__file__).with_name("complete.wat").read_text()))
    written: list[bytes] = []
    nn = NeuralNetwork([Preload.parse(f"default:GGML:AUTO:{model}")])
    try:
        with Guest(module, args=[prompt], nn=nn, stdout=written.append) as guest:
            code = guest.run()
    finally:
        nn.close()
    if code:
        raise SystemExit(f"the guest exited with code {code}")
    return b"".join(written).decode()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    print(complete(Path(sys.argv[1]), sys.argv[2]))
