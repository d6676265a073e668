"""Pictures in prompts, with a projector of random weights."""

import base64
import json
import os
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter

from llamaedge_host.files import Files
from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.engine.engine import Engine
from llamaedge_host.nn import NnErrno
from llamaedge_host.nn.backend import BackendError
from llamaedge_host.preopen import Preopen

from ..models import pictures, tiny, vision
from ..models.pictures import png, tag
from .conftest import ANYWHERE, Load, counts, run, stream

TOKENS = tiny.PATCHES**2


RED, BLUE = png((255, 0, 0)), png((0, 0, 255))


@pytest.fixture(scope="session")
def projector(folder: Path) -> Path:
    return tiny.projector(folder / "mmproj.gguf")


@pytest.fixture
def seeing(load: Load, tiny_llama: Path, projector: Path, tmp_path: Path) -> GgmlContext:
    graph = load(tiny_llama, mmproj=str(projector), n_predict=12, ignore_eos=True)
    return graph.context(Files([Preopen(tmp_path, ".")], named=[str(projector)]))


def test_the_text_depends_on_the_picture(seeing: GgmlContext) -> None:
    red, blue = run(seeing, tag(RED) + b"what is it"), run(seeing, tag(BLUE) + b"what is it")
    assert red != blue
    assert run(seeing, tag(RED) + b"what is it") == red
    assert counts(seeing)[0] > TOKENS


def test_a_projector_is_the_guests_or_named_on_the_command_line(
    load: Load, tiny_llama: Path, projector: Path, tmp_path: Path
) -> None:
    graph = load(tiny_llama, mmproj=str(projector), n_predict=1)
    folder = [Preopen(tmp_path, ".")]
    prompt = tag(RED) + b"sea"
    context = graph.context(Files(folder))
    with pytest.raises(BackendError, match=r"be read: .* with --dir, or be named on") as raised:
        context.set_input(0, 3, prompt)
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT
    text = run(graph.context(Files(folder, named=[f"--llava-mmproj={projector}"])), prompt)
    tmp_path.joinpath("mine.gguf").hardlink_to(projector)
    context.set_input(1, 3, b'{"mmproj": "mine.gguf"}')
    assert run(context, prompt) == text


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
    plain = run(load(tiny_llama, n_predict=12, ignore_eos=True).context(ANYWHERE), b"the sea")
    run(seeing, tag(RED) + b"the sea")
    assert run(seeing, b"the sea") == plain


def test_a_picture_is_read_from_a_file_of_the_guest(seeing: GgmlContext, tmp_path: Path) -> None:
    inline = run(seeing, b"see " + tag(RED) + b"sea")
    (tmp_path / "red.png").write_bytes(RED)
    seeing.set_input(1, 3, b'{"image": "red.png"}')
    assert run(seeing, b"see <image>sea") == inline


def test_a_file_that_is_not_the_guests_is_not_read(seeing: GgmlContext, tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(RED)
    for path in (str(tmp_path / "red.png"), "nope.png", "../red.png/..", "."):
        seeing.set_input(1, 3, json.dumps({"image": path}).encode())
        with pytest.raises(BackendError, match=r"cannot be read: .* with --dir") as raised:
            seeing.set_input(0, 3, b"see <image>sea")
        assert raised.value.errno == NnErrno.INVALID_ARGUMENT
        assert path in str(raised.value)


def test_a_file_too_large_for_a_picture_is_refused(seeing: GgmlContext, tmp_path: Path) -> None:
    with (tmp_path / "large.png").open("wb") as file:
        file.write(RED)
        file.truncate(100_000_000)
    seeing.set_input(1, 3, b'{"image": "large.png"}')
    with pytest.raises(BackendError, match="more than 67108864 bytes"):
        seeing.set_input(0, 3, b"see <image>sea")


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (b'<img src="data:image/png;base64,!!!">', "base64"),
        (tag(b""), "it is empty; PNG, JPEG, GIF and BMP can be read"),
        (tag(b"RIFF....WEBPVP8 "), "it is a WebP file; PNG, JPEG, GIF and BMP can be read"),
        (tag(b"\0\0\0\x1cftypavif"), "it is an AVIF file"),
        (tag(b"\0\0\0\x18ftypheic"), "it is a HEIF file"),
        (tag(b"\n<!DOCTYPE html>"), "it is an SVG, XML or HTML file"),
        (tag(b"once upon a time"), 'it begins with "once upon a "'),
        (tag(RED[:20]), "cut off within its header"),
        (tag(RED[:60]) + b"sea", "damaged"),
        (tag(RED[:45] + b"\0" + RED[46:]) + b"sea", "damaged"),
        (tag(b"\xff\xd8\xff\xe0\0\x04ab"), "cut off within its header"),
        (tag(b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03"), "65535 x 65535 pixels"),
        (tag(b"GIF89a\0\0\0\0"), "0 x 0 pixels"),
        (tag(b"GIF89a\0\x20\0\x20" + bytes(99)), "cut off: 109 bytes for 8192 x 8192 pixels"),
        (tag(b"BM" + bytes(12) + struct.pack("<Iii", 40, 99, -99)), "cut off: 26 bytes"),
        (tag(b"\xff\xd8" + b"\xff\xe0\0\2" * 66_000), "more than 65536 segments"),
        (tag(png((1, 2, 3), 8, height=1601)), "a side can be 200 times the other"),
        (tag(png((1, 2, 3), size=40_000, rows=1)), "40000 x 40000 pixels"),
        (tag(png((1, 2, 3), rows=200)) + b"sea", "more pixels than it says"),
        (b"see " + tag(RED), "ends with a picture"),
    ],
)
def test_a_bad_picture_is_refused(seeing: GgmlContext, prompt: bytes, said: str) -> None:
    with pytest.raises(BackendError, match=said) as raised:
        seeing.set_input(0, 3, prompt)
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT
    assert run(seeing, b"the sea")


def test_the_marker_is_text_unless_a_file_is_named(seeing: GgmlContext, tmp_path: Path) -> None:
    run(seeing, tag(RED) + b"<image>")
    assert counts(seeing)[0] == TOKENS + 1 + len("<image>") + 1  # bos; a space before a text
    (tmp_path / "blue.png").write_bytes(BLUE)
    seeing.set_input(1, 3, b'{"image": "blue.png"}')
    both = run(seeing, tag(RED) + b"and<image>sea")
    assert both == run(seeing, tag(RED) + b"and" + tag(BLUE) + b"sea")
    with pytest.raises(BackendError, match="no <image> for the image"):
        seeing.set_input(0, 3, b"the sea")


def test_a_prompt_can_be_computed_again(seeing: GgmlContext) -> None:
    seeing.set_input(0, 3, tag(RED) + b"what is it")
    outputs = []
    for _ in range(3):
        seeing.compute()
        outputs.append(seeing.output(0))
    assert outputs == [outputs[0]] * 3
    seeing.compute_single()
    seeing.fini_single()
    assert seeing.compute_single() is NnErrno.SUCCESS


def engine_of(context: GgmlContext) -> Engine:
    engine = context._graph.engine()
    assert isinstance(engine, Engine)
    return engine


def test_a_picture_seen_before_is_not_computed_again(
    load: Load, tiny_llama: Path, projector: Path
) -> None:
    graph = load(tiny_llama, mmproj=str(projector), n_predict=4, ignore_eos=True)
    context = graph.context(ANYWHERE)
    counters = engine_of(context).counters

    def evaluated(prompt: bytes) -> int:
        before = counters.prompt_tokens_evaluated
        run(context, prompt)
        return counters.prompt_tokens_evaluated - before

    first = b"see " + tag(RED) + b"sea"
    assert evaluated(first) > TOKENS
    assert evaluated(first) == 1  # its last token, after which the answer begins
    assert evaluated(first + b" and " + tag(BLUE) + b"sea") <= TOKENS + 20
    other = evaluated(b"see " + tag(BLUE) + b"sea")
    assert TOKENS <= other < 2 * TOKENS


def test_reuse_changes_no_output(seeing: GgmlContext) -> None:
    """What follows a reused prefix is what follows the same prompt computed afresh."""
    prompts = [
        b"see " + tag(RED) + b"sea",
        b"see " + tag(RED) + b"sea and " + tag(BLUE) + b"the sea",
        b"see " + tag(RED) + b"sea and " + tag(RED) + b"the sea",
        b"see " + tag(BLUE) + b"sea",
        b"see sea",
        tag(RED) + tag(RED) + b"sea",
        tag(RED) + b"sea",
    ]
    reused = [run(seeing, prompt) for prompt in prompts]
    for prompt, expected in zip(prompts, reused, strict=True):
        engine = engine_of(seeing)
        engine._thread.post(lambda _, engine=engine: engine.abandon("a test"), None)
        assert run(seeing, prompt) == expected


def test_pictures_and_texts_of_several_contexts_do_not_mix(
    load: Load, tiny_llama: Path, projector: Path
) -> None:
    graph = load(tiny_llama, mmproj=str(projector), n_predict=24, ignore_eos=True)
    prompts = [b"the sea", tag(RED) + b"sea", tag(BLUE) + b"sea", b"and", tag(RED) + b"and"] * 2
    alone = [run(graph.context(ANYWHERE), prompt) for prompt in prompts]
    contexts = [graph.context(ANYWHERE) for _ in prompts]
    with ThreadPoolExecutor(len(prompts)) as pool:
        assert list(pool.map(run, contexts, prompts)) == alone


def test_no_program_is_started_for_what_is_no_picture(
    seeing: GgmlContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ffprobe", "ffmpeg"):
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(BackendError, match="damaged, or of a variant"):
        seeing.set_input(0, 3, tag(b"\xff\xd8\xff\xc0\0\x11\x08\0\x08\0\x08\x03") + b"sea")
    assert not (tmp_path / "started").exists()


FILES = {
    "png": png((200, 200, 200)),
    "bmp": pictures.bmp((200, 200, 200)),
    "gif": pictures.gif((200, 200, 200)),
    "jpeg": pictures.jpeg(200),
    "progressive jpeg": pictures.jpeg(200, progressive=True),
}
"""The same picture in each format."""


def test_each_format_gives_its_picture(seeing: GgmlContext) -> None:
    said = {run(seeing, tag(file) + b"what is it") for file in FILES.values()}
    assert len(said) == 1
    assert run(seeing, tag(RED) + b"what is it") not in said


def test_of_an_animation_the_first_picture_is_seen(seeing: GgmlContext) -> None:
    moving = pictures.gif((0, 0, 255), frames=300)
    assert run(seeing, tag(moving) + b"sea") == run(seeing, tag(BLUE) + b"sea")


def test_pictures_too_large_together_are_refused(
    seeing: GgmlContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamaedge_host.ggml.media.pictures.MAX_PIXELS", 2 * 32 * 32)
    run(seeing, tag(RED) + tag(BLUE) + b"sea")
    with pytest.raises(BackendError, match="3072 pixels together; 2048 can be read"):
        seeing.set_input(0, 3, tag(RED) * 3 + b"sea")


def test_a_picture_needs_a_projector(load: Load, tiny_llama: Path, tiny_bert: Path) -> None:
    context = load(tiny_llama).context(ANYWHERE)
    with pytest.raises(BackendError, match="need a projector"):
        context.set_input(0, 3, tag(RED))
    for path, said in ((tiny_bert, "a bert model, not a projector"), ("nope.gguf", "No such file")):
        context.set_input(1, 3, json.dumps({"mmproj": str(path)}).encode())
        with pytest.raises(BackendError, match=said):
            context.set_input(0, 3, tag(RED))


def test_a_picture_too_large_for_the_context(seeing: GgmlContext) -> None:
    seeing.set_input(0, 3, tag(RED) * 40 + b"sea")
    with pytest.raises(BackendError, match="too long") as raised:
        seeing.compute()
    assert raised.value.errno == NnErrno.PROMPT_TOO_LONG


def test_a_picture_has_no_embedding(seeing: GgmlContext) -> None:
    seeing.set_input(1, 3, b'{"embedding": true}')
    seeing.set_input(0, 3, tag(RED) + b"sea")
    with pytest.raises(BackendError, match="has pictures"):
        seeing.compute()


def damaged(source: Path, path: Path, change: Callable[[str, Any], Any]) -> Path:
    """A copy of the GGUF ``source`` with each value and tensor as ``change`` answers it."""
    reader, writer = GGUFReader(source), GGUFWriter(str(path), "clip")
    for field in reader.fields.values():
        if field.name.startswith(("GGUF.", "general.architecture")):
            continue
        inner = field.types[1] if len(field.types) > 1 else None
        writer.add_key_value(
            field.name, change(field.name, field.contents()), field.types[0], inner
        )
    for tensor in reader.tensors:
        values = change(tensor.name, tensor.data.copy())
        if values is not None:
            writer.add_tensor(tensor.name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("clip.vision.attention.head_count", 0),
        ("clip.vision.patch_size", 3),
        ("v.position_embd.weight", np.zeros((3, 64), np.float32)),
        ("v.blk.0.attn_q.weight", np.zeros((64, 32), np.float32)),
        ("v.patch_embd.weight", None),
        ("mm.0.weight", None),
    ],
)
def test_a_projector_that_would_end_the_process(
    load: Load, tiny_llama: Path, projector: Path, tmp_path: Path, name: str, value: Any
) -> None:
    wrong = damaged(
        projector, tmp_path / "mmproj.gguf", lambda each, old: value if each == name else old
    )
    context = load(tiny_llama, mmproj=str(wrong)).context(ANYWHERE)
    with pytest.raises(BackendError, match=r"the projector .* cannot be loaded") as raised:
        context.set_input(0, 3, tag(RED) + b"sea")
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT


def test_a_projector_has_a_position_for_each_column_of_the_widest_picture(
    load: Load, folder: Path, tmp_path: Path
) -> None:
    model = vision.gemma4(folder / "gemma4.gguf")
    sound = vision.gemma4_projector(folder / "gemma4.mmproj", positions=474)
    graph = load(model, mmproj=str(sound), ctx_size=2048, ubatch_size=2048, n_predict=1)
    context = graph.context(ANYWHERE)
    run(context, tag(png((9, 9, 9), 3200, height=16)) + b"sea")
    small = vision.gemma4_projector(tmp_path / "small.mmproj", positions=200)
    context.set_input(1, 3, json.dumps({"mmproj": str(small)}).encode())
    with pytest.raises(BackendError, match="it has 200 positions for 474 columns"):
        context.set_input(0, 3, tag(RED) + b"sea")


def test_a_picture_that_sees_all_of_itself_fits_into_one_piece(load: Load, folder: Path) -> None:
    model = vision.gemma4(folder / "gemma4.gguf")
    projector = vision.gemma4_projector(folder / "gemma4.mmproj")
    settings = {"mmproj": str(projector), "ctx_size": 2048, "n_predict": 1}
    prompt = tag(png((9, 9, 9), 200)) + b"sea"
    context = load(model, **settings).context(ANYWHERE)
    context.set_input(0, 3, prompt)
    with pytest.raises(
        BackendError, match="625 tokens, more than the ubatch-size of 512"
    ) as raised:
        context.compute()
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT
    run(load(model, **settings, ubatch_size=640).context(ANYWHERE), prompt)


def chat(context: GgmlContext, *parts: bytes | str) -> bytes:
    """What follows a conversation of one message, whose parts are texts and pictures' files."""
    content = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": address(part)}}
        for part in parts
    ]
    conversation = {"messages": [{"role": "user", "content": content}]}
    context.set_input(1, 3, json.dumps({"conversation": conversation}).encode())
    assert context.compute() is NnErrno.SUCCESS
    return context.output(0)


def address(file: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(file).decode()}"


@pytest.fixture
def talking(load: Load, tiny_llama: Path, projector: Path) -> GgmlContext:
    template = "{% for m in messages %}{{ bos_token }}{{ m.content }}sea{% endfor %}"
    return load(
        tiny_llama,
        chat_template=template,
        mmproj=str(projector),
        n_predict=12,
        ignore_eos=True,
    ).context(ANYWHERE)


def test_pictures_of_a_conversation_stand_where_its_template_puts_them(
    talking: GgmlContext,
) -> None:
    expected = run(talking, b"the\n" + tag(RED) + b"\nand\n" + tag(BLUE) + b"sea")
    told = counts(talking)[0]
    assert chat(talking, "the", RED, "and", BLUE) == expected
    assert counts(talking)[0] == told
    assert chat(talking, "the", BLUE, "and", RED) != expected


def test_a_control_token_beside_a_picture_is_text(talking: GgmlContext) -> None:
    chat(talking, RED, "</s>")
    told = counts(talking)[0]
    run(talking, tag(RED) + b"\n</s>sea")
    assert told > counts(talking)[0]


def test_a_picture_that_the_template_leaves_out_is_told(talking: GgmlContext) -> None:
    talking.set_input(1, 3, b'{"chat-template": "nothing"}')
    with pytest.raises(BackendError, match="leaves out a picture"):
        chat(talking, RED)


@pytest.mark.parametrize("url", ["http://example.com/a.png", "data:image/png;base64,!", 5])
def test_a_picture_that_is_no_data_is_refused(talking: GgmlContext, url: object) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    conversation = {"messages": [{"role": "user", "content": [part]}]}
    with pytest.raises(BackendError, match="picture of the conversation cannot be used"):
        talking.set_input(1, 3, json.dumps({"conversation": conversation}).encode())
