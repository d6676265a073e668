"""Loads variants of a model file, in a process of its own since a bug of llama.cpp would end it.

usage: fuzz MODEL FOLDER FIRST LAST [KIND]: prints a line for each seed from FIRST up to LAST.
"""

import json
import random
import sys
from pathlib import Path

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.llama.gguf import read
from llamaedge_host.nn import Target
from llamaedge_host.nn.backend import BackendError


def corrupted(content: bytes, end_of_header: int, seed: int) -> tuple[str, bytes]:
    """What was done to ``content`` by ``seed``, and the result."""
    rng = random.Random(seed)
    data = bytearray(content)
    kind = ("header", "numbers", "table", "tail", "cut")[seed % 5]
    if kind == "cut":
        return kind, bytes(data[: rng.randrange(len(data))])
    begin, end = {
        "header": (0, end_of_header // 8),
        "numbers": (0, end_of_header),
        "table": (end_of_header * 3 // 4, end_of_header),
        "tail": (end_of_header, len(data)),
    }[kind]
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        at = rng.randrange(begin, end)
        if kind == "numbers":
            data[at : at + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x80"))
        else:
            data[at] ^= 1 << rng.randrange(8)
    return kind, bytes(data[: len(content)])


def attempt(backend: GgmlBackend, path: Path, config: str) -> str:
    """Load ``path`` and compute; the errno of a failure, or "loaded"."""
    graph = None
    try:
        graph = backend.load(path, Target.AUTO, config)
        context = graph.context()
        context.set_input(0, 3, b"the sea and")
        context.compute()
        context.close()
        return "loaded"
    except BackendError as error:
        return error.errno.name
    finally:
        if graph is not None:
            graph.close()


def main() -> None:
    model, folder, first, last = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:5])
    header = read(model)
    content = model.read_bytes()
    end_of_header = len(content) - header.tensors[-1].offset - header.tensors[-1].size
    backend = GgmlBackend(parallel=1)
    config = json.dumps({"temp": 0, "n-predict": 4, "ctx-size": 256, "threads": 1})
    for seed in range(first, last):
        kind, data = corrupted(content, end_of_header, seed)
        path = folder / f"{seed}.gguf"
        path.write_bytes(data)
        sys.stdout.write(f"{seed} {kind} begin\n")
        sys.stdout.flush()
        sys.stdout.write(f"{seed} {kind} {attempt(backend, path, config)}\n")
        sys.stdout.flush()
        path.unlink()
    backend.close()


if __name__ == "__main__":
    main()
