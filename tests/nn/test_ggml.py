"""The ABI over the real backend: a model whose bytes the guest gives, then a computation."""

import ctypes
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from llamaedge_host.memory import Memory
from llamaedge_host.nn import Encoding, NeuralNetwork, NnErrno, Session, Target

from ..models import tiny

OUT, TABLE, CONFIG, TENSOR, MODEL = 16, 64, 256, 512, 4096


def call(session: Session, name: str, *args: int) -> int:
    function = session.resolve("wasi_ephemeral_nn", name, "i" * len(args), "i")
    assert function is not None
    errno = function(*args)
    assert errno is not None
    return errno


def give(session: Session, memory: Memory, index: int, data: bytes) -> int:
    memory.write(CONFIG, data)
    memory.write(TENSOR, struct.pack("<IIIII", OUT, 1, 3, CONFIG, len(data)))
    return call(session, "set_input", 0, index, TENSOR)


class Loaded:
    """A guest's memory and session, with graph 0 on a tiny model and context 0."""

    def __init__(self, model: bytes, **metadata: object) -> None:
        config = json.dumps({"threads": 1, **metadata}).encode()
        self.buffer = ctypes.create_string_buffer(1 << 20)
        self.memory = Memory(lambda: (ctypes.addressof(self.buffer), len(self.buffer)))
        self.memory.write(MODEL, model)
        self.memory.write(CONFIG, config)
        self.memory.write(TABLE, struct.pack("<IIII", MODEL, len(model), CONFIG, len(config)))
        self.network = NeuralNetwork()
        self.session = self.network.session(self.memory)
        assert call(self.session, "load", TABLE, 2, Encoding.GGML, Target.AUTO, OUT) == 0
        assert call(self.session, "init_execution_context", 0, OUT) == 0

    def give(self, index: int, data: bytes) -> int:
        self.memory.write(MODEL, data)
        self.memory.write(TENSOR, struct.pack("<IIIII", OUT, 1, 3, MODEL, len(data)))
        return call(self.session, "set_input", 0, index, TENSOR)

    def counts(self) -> dict[str, object]:
        assert call(self.session, "get_output", 0, 1, MODEL, 2000, OUT) == 0
        counts: dict[str, object] = json.loads(self.memory.read(MODEL, self.memory.u32(OUT)))
        return counts

    def close(self) -> None:
        self.session.close()
        self.network.close()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    path = tiny.llama(tmp_path_factory.mktemp("model") / "tiny.gguf")
    loaded = Loaded(path.read_bytes(), **{"ctx-size": 256, "n-predict": 1})
    yield loaded
    loaded.close()


@pytest.mark.parametrize(
    ("index", "given", "errno", "said"),
    [
        (1, b'{"temp": "hot"}', 1, "option temp cannot be used: 'hot' is not of type number"),
        (1, b'{"grammar": "root ::= ("}', 1, "grammar"),
        (1, b'{"json-schema": "{"}', 1, "json-schema"),
        (1, b"{", 2, "the metadata is not JSON"),
        (0, b"a" * 3000, 102, r"it has [0-9]+ tokens, .* at most 252 \(ctx-size 256\)"),
        (0, b"a" * 70_000, 102, "it has 70000 bytes, .* 256 tokens takes at most 65536"),
        (0, b'<img src="data:image/png;base64,eA==">', 1, "pictures need a projector"),
        (0, b'<img src="data:image/png;base64,%">', 1, "the image is not base64"),
    ],
)
def test_a_guest_reads_why_a_call_failed(
    loaded: Loaded, index: int, given: bytes, errno: int, said: str
) -> None:
    assert loaded.give(0, b"a") == 0
    assert (loaded.give(index, given) or call(loaded.session, "compute", 0)) == errno
    assert re.search(said, str(loaded.counts()["error"]))
    assert loaded.give(0, b"a") == 0
    assert call(loaded.session, "compute", 0) == 0
    assert loaded.counts()["output_tokens"] == 1
    assert "error" not in loaded.counts()


def test_a_model_from_the_guests_memory_can_be_loaded_again(loaded: Loaded) -> None:
    for layers in 3, 0, 100:
        assert loaded.give(1, json.dumps({"n-gpu-layers": layers}).encode()) == 0
        assert loaded.give(0, b"a") == 0
        assert call(loaded.session, "compute", 0) == 0


def test_a_model_from_the_guests_memory_computes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny.llama(tmp_path / "tiny.gguf").read_bytes()
    config = json.dumps({"n-predict": 5, "ignore-eos": True, "threads": 1, "temp": 0}).encode()
    buffer = ctypes.create_string_buffer(1 << 20)
    memory = Memory(lambda: (ctypes.addressof(buffer), len(buffer)))
    memory.write(MODEL, model)
    memory.write(CONFIG, config)
    memory.write(TABLE, struct.pack("<IIII", MODEL, len(model), CONFIG, len(config)))
    network = NeuralNetwork()
    printed: list[bytes] = []
    session = network.session(memory, stdout=printed.append)
    assert call(session, "load", TABLE, 2, Encoding.GGML, Target.AUTO, OUT) == 0
    assert call(session, "init_execution_context", 0, OUT) == 0
    assert give(session, memory, 0, b"the sea") == 0
    assert call(session, "compute", 0) == 0
    assert call(session, "get_output", 0, 1, MODEL, 200, OUT) == 0
    said = json.loads(memory.read(MODEL, memory.u32(OUT)))
    assert said["output_tokens"] == 5
    assert printed == []
    caplog.clear()
    assert give(session, memory, 1, b'{"stream-stdout": true, "temp": "hot"}') == 1
    (line,) = caplog.messages
    assert line.startswith("[WASI-NN] GGML backend: ")
    assert "temp" in line
    assert give(session, memory, 1, b'{"stream-stdout": true}') == 0
    assert call(session, "compute", 0) == 0
    assert call(session, "get_output", 0, 0, MODEL, 200, OUT) == 0
    assert b"".join(printed) == memory.read(MODEL, memory.u32(OUT))
    assert len(printed) == 5
    assert call(session, "get_output", 0, 0, MODEL, 1, OUT) == NnErrno.TOO_LARGE
    assert call(session, "load", TABLE, 1, Encoding.GGML, Target.AUTO, OUT) == 1
    session.close()
    network.close()
