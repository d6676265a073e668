"""Pictures in prompts, with a projector of random weights."""

import base64
import json
import struct
import zlib
from pathlib import Path

import pytest

from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.nn import ErrNo
from llamaedge_host.nn.backend import BackendError

from ..models import tiny
from .conftest import Load, counts, run, stream

TOKENS = tiny.PATCHES**2


def png(colour: tuple[int, int, int], size: int = 32) -> bytes:
    """A PNG of one colour with a dark corner."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    row = b"\0" + bytes(3 * 8) + bytes(colour) * (size - 8)
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    data = zlib.compress(row * size)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tag(picture: bytes) -> bytes:
    return b'<img src="data:image/png;base64,' + base64.b64encode(picture) + b'">'


RED, BLUE = png((255, 0, 0)), png((0, 0, 255))


@pytest.fixture(scope="session")
def projector(folder: Path) -> Path:
    return tiny.projector(folder / "mmproj.gguf")


@pytest.fixture
def seeing(load: Load, tiny_llama: Path, projector: Path) -> GgmlContext:
    return load(tiny_llama, mmproj=str(projector), n_predict=12, ignore_eos=True).context()


def test_the_text_depends_on_the_picture(seeing: GgmlContext) -> None:
    red, blue = run(seeing, tag(RED) + b"what is it"), run(seeing, tag(BLUE) + b"what is it")
    assert red != blue
    assert run(seeing, tag(RED) + b"what is it") == red
    assert counts(seeing)[0] > TOKENS


def test_several_pictures_keep_their_order(seeing: GgmlContext) -> None:
    one = run(seeing, b"the" + tag(RED) + b"and" + tag(BLUE) + b"sea")
    told = counts(seeing)[0]
    assert told >= 2 * TOKENS
    assert run(seeing, b"the" + tag(BLUE) + b"and" + tag(RED) + b"sea") != one
    assert counts(seeing)[0] == told


def test_tokens_come_singly_too(seeing: GgmlContext) -> None:
    whole = run(seeing, tag(RED) + b"sea")
    stream(seeing, tag(RED) + b"sea", 12)
    assert seeing.output(0) == whole


def test_text_after_a_picture_is_text(seeing: GgmlContext, load: Load, tiny_llama: Path) -> None:
    plain = run(load(tiny_llama, n_predict=12, ignore_eos=True).context(), b"the sea")
    run(seeing, tag(RED) + b"the sea")
    assert run(seeing, b"the sea") == plain


def test_a_picture_is_read_from_a_file(seeing: GgmlContext, tmp_path: Path) -> None:
    inline = run(seeing, b"see " + tag(RED) + b"sea")
    path = tmp_path / "red.png"
    path.write_bytes(RED)
    seeing.set_input(1, 3, json.dumps({"image": str(path)}).encode())
    assert run(seeing, b"see <image>sea") == inline
    seeing.set_input(1, 3, b'{"image": "nope.png"}')
    with pytest.raises(BackendError, match=r"nope\.png: No such file"):
        seeing.set_input(0, 3, b"see <image>sea")


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (b'<img src="data:image/png;base64,!!!">', "base64"),
        (tag(b"no picture"), "unknown format"),
        (tag(RED[:60]), "unknown format"),
        (tag(RED) + b"<image>", "1 pictures, 2 places"),
    ],
)
def test_a_bad_picture_is_refused(seeing: GgmlContext, prompt: bytes, said: str) -> None:
    with pytest.raises(BackendError, match=said) as raised:
        seeing.set_input(0, 3, prompt)
    assert raised.value.errno == ErrNo.INVALID_ARGUMENT
    assert run(seeing, b"the sea")


def test_a_picture_needs_a_projector(load: Load, tiny_llama: Path, tiny_bert: Path) -> None:
    context = load(tiny_llama).context()
    with pytest.raises(BackendError, match="projection model is required"):
        context.set_input(0, 3, tag(RED))
    for path, said in ((tiny_bert, "a bert model, not a projector"), ("nope.gguf", "No such file")):
        context.set_input(1, 3, json.dumps({"mmproj": str(path)}).encode())
        with pytest.raises(BackendError, match=said):
            context.set_input(0, 3, tag(RED))


def test_a_picture_too_large_for_the_context(seeing: GgmlContext) -> None:
    seeing.set_input(0, 3, tag(RED) * 40)
    with pytest.raises(BackendError, match="too long") as raised:
        seeing.compute()
    assert raised.value.errno == ErrNo.PROMPT_TOO_LONG


def test_a_picture_has_no_embedding(seeing: GgmlContext) -> None:
    seeing.set_input(1, 3, b'{"embedding": true}')
    seeing.set_input(0, 3, tag(RED))
    with pytest.raises(BackendError, match="has pictures"):
        seeing.compute()
