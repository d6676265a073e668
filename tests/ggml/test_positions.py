"""Pictures lie where llama.cpp's own helper puts them, whatever kind of positions they have."""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from llama_cpp import mtmd_cpp as mtmd

from llamaedge_host.ggml.llama.library import llama
from llamaedge_host.nn.backend import BackendError

from ..models import tiny, vision
from ..models.pictures import png, tag
from .conftest import ANYWHERE, Load, counts, run

MOST = 12
RED = png((255, 40, 0), 64)
WIDE = png((0, 90, 255), 96, height=32)

Pair = tuple[Path, Path]


PAIRS = {
    "llava": (tiny.llama, tiny.projector),
    "qwen2vl": (vision.qwen, vision.qwen_projector),
    "gemma3": (tiny.llama, vision.gemma_projector),
    "gemma4": (vision.gemma4, vision.gemma4_projector),
}


@pytest.fixture(scope="session", params=PAIRS)
def pair(request: pytest.FixtureRequest, folder: Path) -> Pair:
    """A model and its projector."""
    model, projector = PAIRS[request.param]
    name = f"positions-{request.param}"
    return model(folder / f"{name}.gguf"), projector(folder / f"{name}.mmproj.gguf")


def greedy(pair: Pair, prompt: bytes, pictures: list[bytes]) -> bytes:
    """llama.cpp's own way of a prompt with pictures at its markers, then greedily on."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_greedy, pair, prompt, pictures).result()


def _greedy(pair: Pair, prompt: bytes, pictures: list[bytes]) -> bytes:
    path, projector = (str(each).encode() for each in pair)
    model = llama.llama_model_load_from_file(path, llama.llama_model_default_params())
    asked = llama.llama_context_default_params()
    asked.n_ctx, asked.n_threads, asked.n_threads_batch = 512, 1, 1
    context = llama.llama_init_from_model(model, asked)
    wanted = mtmd.mtmd_context_params_default()
    wanted.n_threads, wanted.warmup, wanted.print_timings = 1, False, False
    seeing = mtmd.mtmd_init_from_file(projector, model, wanted)
    buffers = [(ctypes.c_uint8 * len(each)).from_buffer_copy(each) for each in pictures]
    bitmaps = [
        mtmd.mtmd_helper_bitmap_init_from_buf(seeing, buffer, len(buffer), False)
        for buffer in buffers
    ]
    chunks = mtmd.mtmd_input_chunks_init()
    text = mtmd.mtmd_input_text(prompt, len(prompt), True, True)
    array = (mtmd.mtmd_bitmap_p_ctypes * len(bitmaps))(*bitmaps)
    assert not mtmd.mtmd_tokenize(seeing, chunks, ctypes.byref(text), array, len(bitmaps))
    after = llama.llama_pos()
    assert not mtmd.mtmd_helper_eval_chunks(
        seeing, context, chunks, 0, 0, 512, True, ctypes.byref(after)
    )
    vocabulary = llama.llama_model_get_vocab(model)
    sampler = llama.llama_sampler_init_greedy()
    piece = ctypes.create_string_buffer(64)
    said = b""
    batch = llama.llama_batch_init(1, 0, 1)
    for made in range(MOST):
        token = llama.llama_sampler_sample(sampler, context, -1)
        size = llama.llama_token_to_piece(vocabulary, token, piece, 64, 0, True)
        said += piece.raw[:size]
        batch.n_tokens, batch.token[0], batch.pos[0] = 1, token, after.value + made
        batch.n_seq_id[0], batch.seq_id[0][0], batch.logits[0] = 1, 0, 1
        assert not llama.llama_decode(context, batch)
    llama.llama_batch_free(batch)
    llama.llama_sampler_free(sampler)
    mtmd.mtmd_input_chunks_free(chunks)
    for bitmap in bitmaps:
        mtmd.mtmd_bitmap_free(bitmap)
    mtmd.mtmd_free(seeing)
    llama.llama_free(context)
    llama.llama_model_free(model)
    return said


PROMPTS = (
    (b"see %s and sea", [RED]),
    (b"%s the %s sea", [RED, WIDE]),
    (b"%s%s the sea and the sea %s sea", [WIDE, RED, WIDE]),
)


@pytest.mark.parametrize(("prompt", "pictures"), PROMPTS)
def test_the_text_is_llama_cpps_own(
    load: Load, pair: Pair, prompt: bytes, pictures: list[bytes]
) -> None:
    model, projector = pair
    context = load(model, mmproj=str(projector), n_predict=MOST, ignore_eos=True).context(ANYWHERE)
    marker = mtmd.mtmd_default_marker()
    expected = greedy(pair, prompt % ((marker,) * len(pictures)), pictures)
    ours = prompt % tuple(map(tag, pictures))
    assert run(context, ours) == expected
    assert run(context, ours) == expected  # now with all of it in the cache
    longer = run(context, ours + b" and " + tag(RED) + b"sea")  # and now with a part of it
    fresh = load(model, mmproj=str(projector), n_predict=MOST, ignore_eos=True, threads_batch=2)
    assert run(fresh.context(ANYWHERE), ours + b" and " + tag(RED) + b"sea") == longer


def test_a_large_picture_takes_more_cells(load: Load, folder: Path) -> None:
    model = vision.qwen(folder / "qwen.gguf")
    projector = vision.qwen_projector(folder / "qwen.mmproj.gguf")
    context = load(model, mmproj=str(projector), n_predict=1).context(ANYWHERE)
    told = []
    for size in (64, 96, 128):
        run(context, tag(png((9, 9, 9), size)) + b"sea")
        told.append(counts(context)[0])
    assert [told[1] - told[0], told[2] - told[1]] == [36 - 16, 64 - 36]
    context.set_input(0, 3, tag(png((9, 9, 9), 400)) + b"sea")
    with pytest.raises(BackendError, match="too long"):
        context.compute()


def test_a_full_context_counts_cells(load: Load, folder: Path) -> None:
    """A picture of 64 cells takes 8 positions; the cells are what runs out."""
    model = vision.qwen(folder / "qwen.gguf")
    projector = vision.qwen_projector(folder / "qwen.mmproj.gguf")
    context = load(model, mmproj=str(projector), ctx_size=256, ignore_eos=True).context(ANYWHERE)
    context.set_input(0, 3, tag(png((9, 9, 9), 128)) * 2 + b"sea")
    assert context.compute().name == "CONTEXT_FULL"
    assert sum(counts(context)) == 257
