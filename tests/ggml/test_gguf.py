"""Model files: what is refused before llama.cpp sees it, and what none of them may do."""

import ctypes
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gguf as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_cpp._ggml import libggml

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.llama import gguf
from llamaedge_host.ggml.llama.library import llama
from llamaedge_host.nn import NnErrno, Target
from llamaedge_host.nn.backend import BackendError

from ..models import tiny

VARIANTS = 125
"""Corrupted files of each of four models."""


def test_a_header_is_read(smollm2: Path) -> None:
    header = gguf.read(smollm2)
    assert (header.version, header.architecture) == (3, "llama")
    assert header.integer("block_count") == 30
    assert header.lengths[gguf.TOKENS] == 49152
    assert header.metadata[gguf.TOKENS][:2] == ["<|endoftext|>", "<|im_start|>"]  # type: ignore[index]
    assert header.tensors[0].name == "token_embd.weight"
    assert header.tensors[0].shape == (576, 49152)


def test_headers_are_read_without_llama_cpp(smollm2: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from llamaedge_host.ggml.llama import gguf;"
        "gguf.read(Path(sys.argv[1])); sys.exit('llama_cpp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(smollm2)]).returncode == 0


def test_a_later_file_of_a_split_model_names_no_architecture(tmp_path: Path) -> None:
    writer = reference.GGUFWriter(str(tmp_path / "part.gguf"), "llama")
    del writer.kv_data[0]["general.architecture"]
    writer.add_uint16("split.no", 1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert gguf.read(tmp_path / "part.gguf").architecture == ""


def test_block_sizes_are_ggmls() -> None:
    libggml.ggml_type_size.restype = ctypes.c_size_t
    libggml.ggml_blck_size.restype = ctypes.c_int64
    for kind in range(llama.GGML_TYPE_COUNT):
        size = (libggml.ggml_blck_size(kind), libggml.ggml_type_size(kind))
        assert gguf.TENSOR_TYPES.get(kind, (0, 0)) == size


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html>", "it is a web page"),
        (b"GGML\0\0\0\0", "not a GGUF file"),
        (b"GGUF", "cut off"),
        (b"GGUF\1\0\0\0" + bytes(16), "version 1"),
        (b"GGUF\3\0\0\0" + bytes(16), "lacks general.architecture"),
        (b"GGUF\3\0\0\0" + b"\xff" * 16, "tensors, more than a file of its size can hold"),
        (b"GGUF\3\0\0\0" + bytes(8) + b"\xff" * 8, "metadata pairs, more than"),
    ],
)
def test_what_is_wrong_is_said(
    backend: GgmlBackend, tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(BackendError, match=re.escape(said)) as raised:
        backend.load(path, Target.AUTO, None)
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("length", [2**40, 2**62, 2**64 - 1])
def test_a_text_that_claims_more_than_the_file_is_refused(tmp_path: Path, length: int) -> None:
    """The first of an array, so that the next one would lie past anything."""
    path = tmp_path / "model.gguf"
    header = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1)
    array = struct.pack("<Q", 1) + b"k" + struct.pack("<IIQQ", 9, 8, 3, length)
    path.write_bytes(header + array + bytes(64))
    with pytest.raises(gguf.GgufError, match="cut off within its header"):
        gguf.read(path)


def test_a_missing_file_and_a_folder(backend: GgmlBackend, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="model file not found") as raised:
        backend.load(tmp_path / "nope.gguf", Target.AUTO, None)
    assert raised.value.errno == NnErrno.MODEL_NOT_FOUND
    with pytest.raises(BackendError, match="cannot be read") as raised:
        backend.load(tmp_path, Target.AUTO, None)
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT


def test_a_file_that_somebody_must_write_or_a_device_is_not_waited_for(
    backend: GgmlBackend, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    for path in tmp_path / "pipe.gguf", Path("/dev/zero"):
        with pytest.raises(BackendError, match="cannot be read: it is no regular file"):
            backend.load(path, Target.AUTO, None)


def test_a_truncated_model_says_where(
    backend: GgmlBackend, tiny_llama: Path, tmp_path: Path
) -> None:
    content = tiny_llama.read_bytes()
    path = tmp_path / "short.gguf"
    path.write_bytes(content[:-100])
    with pytest.raises(BackendError, match="it is cut off"):
        backend.load(path, Target.AUTO, None)


def test_a_model_in_several_files_is_one(
    backend: GgmlBackend, tiny_llama: Path, tmp_path: Path
) -> None:
    tiny.llama(tmp_path / "m.gguf", split=10)
    first, second, third = sorted(tmp_path.iterdir())
    graph = backend.load(first, Target.AUTO, None)
    names = {tensor.name for tensor in graph.model.header.tensors}
    graph.close()
    assert names == {tensor.name for tensor in gguf.read(tiny_llama).tensors}
    with pytest.raises(BackendError, match=f"not the first of its files; name {first}"):
        backend.load(second, Target.AUTO, None)
    third.write_bytes(third.read_bytes()[:-1])
    with pytest.raises(BackendError, match=f"{third} cannot be loaded: .* it is cut off"):
        backend.load(first, Target.AUTO, None)
    third.unlink()
    with pytest.raises(BackendError, match=f"{third} cannot be read"):
        backend.load(first, Target.AUTO, None)


def test_an_unknown_architecture_is_named(backend: GgmlBackend, tmp_path: Path) -> None:
    writer = reference.GGUFWriter(str(tmp_path / "m.gguf"), "quantumnet")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(BackendError, match="unknown model architecture: 'quantumnet'"):
        backend.load(tmp_path / "m.gguf", Target.AUTO, None)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.gguf"
    path.write_bytes(b"GGUF\3\0\0\0" + content)
    with pytest.raises(gguf.GgufError):
        gguf.read(path)


@pytest.mark.parametrize("make", [tiny.llama, tiny.gemma, tiny.mamba, tiny.bert])
def test_no_corrupted_file_ends_the_process(make: Callable[[Path], Path], tmp_path: Path) -> None:
    model = make(tmp_path / "model.gguf")
    fuzz = Path(__file__).with_name("fuzz.py")
    done = subprocess.run(
        [sys.executable, str(fuzz), str(model), str(tmp_path), "0", str(VARIANTS)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"GGML_NO_BACKTRACE": "1"},
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, (lines[-1:], done.stderr[-1000:])
    answers = [line.split()[-1] for line in lines if not line.endswith("begin")]
    assert len(answers) == VARIANTS
    assert {*answers} <= {"loaded", "INVALID_ARGUMENT", "RUNTIME_ERROR"}
    assert answers.count("INVALID_ARGUMENT") > VARIANTS // 2
