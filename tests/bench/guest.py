"""The bundled guest's own time for a streamed token: its model is one that takes no time."""

import json
import socket
import threading
import time
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

from bare import Bare
from ports import free_port
from report import Report
from server import model_file

from llamaedge_host import Guest, HostNetwork
from llamaedge_host.errors import GuestStopped
from llamaedge_host.files import Files
from llamaedge_host.memory import Memory

TOKENS = 2000
PIECE = b" word"
COUNTS = b'{"input_tokens": 5, "output_tokens": 1, "n_parallel": 8}'
START = 10.0  # seconds
OWN = "a streamed token, but for the model"
MODEL = "a token of SmolLM2, from bare llama.cpp"


class Instant:
    """wasi-nn whose every call answers at once; every token is PIECE."""

    fault = 21

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._functions: dict[str, Any] = {
            "load_by_name_with_config": lambda name, size, config, length, graph: self._one(graph),
            "init_execution_context": lambda graph, context: self._one(context),
            "set_input": lambda context, index, tensor: 0,
            "compute": lambda context: 0,
            "compute_single": lambda context: 0,
            "fini_single": lambda context: 0,
            "get_output": lambda context, index, *buffer: self._give(COUNTS, *buffer),
            "get_output_single": lambda context, index, *buffer: self._give(PIECE, *buffer),
        }

    def resolve(self, module: str, name: str, params: str, results: str) -> Any:
        return self._functions.get(name) if module == "wasi_ephemeral_nn" else None

    def _one(self, pointer: int) -> int:
        self._memory.set_u32(pointer, 1)
        return 0

    def _give(self, data: bytes, pointer: int, size: int, written: int) -> int:
        self._memory.write(pointer, data)
        self._memory.set_u32(written, len(data))
        return 0

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


class Network:
    """What Guest takes for its neural network."""

    def session(self, memory: Memory, files: Files) -> Instant:
        return Instant(memory)


def connect(port: int) -> socket.socket:
    ends = time.monotonic() + START
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.01)


def stream(port: int, tokens: int) -> float:
    """Seconds of a streamed answer of ``tokens`` tokens."""
    body = {"messages": [{"role": "user", "content": "x"}], "stream": True, "max_tokens": tokens}
    text = json.dumps(body)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n"
    with connect(port) as client:
        started = time.perf_counter()
        client.sendall(f"{head}Connection: close\r\n\r\n{text}".encode())
        received = 0
        while data := client.recv(1 << 20):
            received += len(data)
        assert received > tokens * len(PIECE)
        return time.perf_counter() - started


def measure(report: Report, rounds: int) -> None:
    module = Path(str(files("llamaedge_launcher") / "llama-api-server.wasm"))
    port = free_port()
    arguments = ["-p", "chatml", "--socket-addr", f"127.0.0.1:{port}"]
    nn: Any = Network()
    with Guest(
        module, args=arguments, network=HostNetwork(), nn=nn, stdout=lambda _: None
    ) as guest:

        def run() -> None:
            with suppress(GuestStopped):
                guest.run()

        thread = threading.Thread(target=run)
        thread.start()
        stream(port, 100)
        for _ in range(rounds):
            report.add(OWN, stream(port, TOKENS) / TOKENS * 1e6, "us")
        guest.stop()
        thread.join()
    bare = Bare(model_file())
    for _ in range(rounds):
        bare.prefill(bare.tokenize("Once upon a time"))
        report.add(MODEL, bare.generate(100)[1] / 99 * 1e6, "us")
    report.ratio("the guest's part of the model's time", OWN, MODEL)
