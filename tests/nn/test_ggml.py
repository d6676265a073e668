"""The ABI over the real backend: a model whose bytes the guest gives, then a computation."""

import ctypes
import json
import struct
from pathlib import Path

import pytest

from llamaedge_host.memory import Memory
from llamaedge_host.nn import Encoding, ErrNo, NeuralNetwork, Session, Target

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
    assert call(session, "get_output", 0, 0, MODEL, 1, OUT) == ErrNo.TOO_LARGE
    assert call(session, "load", TABLE, 1, Encoding.GGML, Target.AUTO, OUT) == 1
    session.close()
    network.close()
