"""A backend that computes nothing, and a guest that calls the functions of wasi_ephemeral_nn."""

import ctypes
import json
import struct
import threading
from pathlib import Path

from llamaedge_host.errors import Interrupted
from llamaedge_host.files import Files
from llamaedge_host.memory import Memory
from llamaedge_host.nn import (
    Encoding,
    NeuralNetwork,
    NnErrno,
    Preload,
    Target,
)
from llamaedge_host.nn.backend import BackendError, Output

SIZE = 1 << 20
OUT = 16  # where results go
NAME, CONFIG, TENSOR, DATA, BUFFER = 64, 256, 1024, 2048, 4096


class FakeContext:
    def __init__(self, graph: "FakeGraph") -> None:
        self.graph = graph
        self.inputs: list[tuple[int, int, bytes]] = []
        self.text = b""
        self.closed = False
        self.released = threading.Event()
        self.blocks = False
        self.single = NnErrno.END_OF_SEQUENCE

    def set_input(self, index: int, tensor_type: int, data: bytes) -> None:
        if data == b"bad":
            raise BackendError(NnErrno.INVALID_ENCODING, "it is\nbad")
        self.inputs.append((index, tensor_type, data))

    def compute(self) -> NnErrno:
        if self.blocks:
            self.released.wait()
            raise Interrupted("cancelled")
        self.text = b"".join(data for _, _, data in self.inputs)
        return NnErrno.SUCCESS

    def compute_single(self) -> NnErrno:
        return self.single

    def output(self, index: int) -> bytes:
        return b'{"output_tokens": 3}' if index == 1 else self.text

    def output_single(self, index: int) -> bytes:
        return b'{"output_tokens": 3}' if index == 1 else self.text[-1:]

    def fini_single(self) -> None:
        self.text = b""

    def cancel(self) -> None:
        self.released.set()

    def close(self) -> None:
        self.closed = True


class FakeGraph:
    def __init__(self, path: Path, target: Target, config: str | None) -> None:
        self.path, self.target, self.config = path, target, config
        self.content = path.read_bytes() if path.exists() else b""
        self.contexts: list[FakeContext] = []
        self.closed = False

    def context(self, files: Files, stdout: Output) -> FakeContext:
        self.files = files
        self.contexts.append(FakeContext(self))
        return self.contexts[-1]

    def close(self) -> None:
        self.closed = True


class FakeBackend:
    def __init__(self) -> None:
        self.graphs: list[FakeGraph] = []
        self.preloaded: list[Path] = []
        self.closed = False

    def preload(self, path: Path) -> None:
        if path.name == "missing":
            raise BackendError(NnErrno.MODEL_NOT_FOUND, f"model file not found: {path}")
        self.preloaded.append(path)

    def load(self, path: Path, target: Target, config: str | None) -> FakeGraph:
        if path.name == "missing":
            raise BackendError(NnErrno.MODEL_NOT_FOUND, f"model file not found: {path}")
        made = FakeGraph(path, target, config)
        if made.content == b"bad":
            raise BackendError(NnErrno.INVALID_ARGUMENT, "it is no model")
        self.graphs.append(made)
        return self.graphs[-1]

    def statistics(self) -> dict[str, dict[str, object]]:
        return {"engine": {"generated_tokens": 1}}

    def close(self) -> None:
        self.closed = True


PRELOADS = [
    Preload.parse(text)
    for text in (
        "m:GGML:AUTO:one",
        "n:GGML:CPU:two",
        "m:GGML:CPU:three",
        "gone:GGML:AUTO:missing",
        "torch:PyTorch:CPU:x",
    )
]


class Guest:
    """A guest's memory and its session, with calls as a guest would make them."""

    def __init__(self) -> None:
        self.buffer = ctypes.create_string_buffer(SIZE)
        self.memory = Memory(lambda: (ctypes.addressof(self.buffer), SIZE))
        self.backend = FakeBackend()
        self.network = NeuralNetwork(PRELOADS, backends={Encoding.GGML: lambda: self.backend})
        self.session = self.network.session(self.memory)

    def call(self, name: str, *args: int) -> int:
        function = self.session.resolve("wasi_ephemeral_nn", name, "i" * len(args), "i")
        assert function is not None, name
        errno = function(*args)
        assert errno is not None
        return errno

    def load_by_name(self, name: bytes, config: bytes | None = None) -> tuple[int, int]:
        self.memory.write(NAME, name)
        if config is None:
            errno = self.call("load_by_name", NAME, len(name), OUT)
        else:
            self.memory.write(CONFIG, config)
            errno = self.call(
                *("load_by_name_with_config", NAME, len(name), CONFIG, len(config), OUT)
            )
        return errno, self.memory.u32(OUT)

    def context(self, graph: int = 0) -> int:
        assert self.call("init_execution_context", graph, OUT) == 0
        return self.memory.u32(OUT)

    def set_input(self, context: int, index: int, data: bytes, kind: int = 3) -> int:
        self.memory.write(DATA, data)
        self.memory.pack(struct.Struct("<5I"), TENSOR, DATA, 1, kind, DATA, len(data))
        return self.call("set_input", context, index, TENSOR)

    def output(self, context: int, index: int, size: int, name: str = "get_output") -> int:
        return self.call(name, context, index, BUFFER, size, OUT)

    def counts(self, name: str = "get_output") -> dict[str, object]:
        assert self.output(0, 1, 100, name) == 0
        counts: dict[str, object] = json.loads(self.memory.read(BUFFER, self.memory.u32(OUT)))
        return counts
