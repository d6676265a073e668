"""Pictures in prompts: projectors, and prompts of text and pictures, through llama.cpp's mtmd.

Source: WasmEdge's GGML/core/input_processor.cpp, llama.cpp's tools/mtmd.
"""

import base64
import ctypes
import itertools
import re
from pathlib import Path

from llama_cpp import mtmd_cpp as mtmd

from ..nn.errno import ErrNo
from . import gguf
from .library import GgmlError, cpus, first_error, forget_errors, llama, log_callback
from .model import Model

MARKER = b"<image>"
"""Where a picture stands in a prompt."""
ARCHITECTURE = "clip"
_TAG = re.compile(rb'<img src="data:image/[^;"<>]*;base64,([^"]*)">')

_numbers = itertools.count(1)

mtmd.mtmd_helper_log_set(log_callback, ctypes.c_void_p(0))


def extract(prompt: bytes) -> tuple[bytes, list[bytes]]:
    """The prompt with a marker for each base64 picture in it, and the pictures' files.

    Raises GgmlError (INVALID_ARGUMENT) for a picture that is not base64.
    """
    pictures: list[bytes] = []
    for match in _TAG.finditer(prompt):
        try:
            pictures.append(base64.b64decode(match[1], validate=True))
        except ValueError as error:
            raise GgmlError(
                ErrNo.INVALID_ARGUMENT,
                f"setInput: unable to load the image from base64 payload: {error}",
            ) from None
    return _TAG.sub(MARKER, prompt), pictures


class Projector:
    """A projector file: it turns pictures into embeddings for ``model``.

    Raises GgmlError (INVALID_ARGUMENT) for a file that is none, or one for another model.
    """

    def __init__(self, path: Path, model: Model) -> None:
        try:
            header = gguf.read(path)
        except (OSError, gguf.GgufError) as error:
            raise _unusable(path, str(error)) from None
        if header.architecture != ARCHITECTURE:
            raise _unusable(path, f"it is a {header.architecture} model, not a projector")
        asked = mtmd.mtmd_context_params_default()
        asked.media_marker = MARKER
        asked.n_threads = cpus()
        asked.print_timings = False
        asked.warmup = False
        forget_errors()
        self.pointer = mtmd.mtmd_init_from_file(str(path).encode(), model.pointer, asked)
        if not self.pointer:
            raise _unusable(path, first_error("mtmd does not say why"))

    def prompt(self, text: bytes, pictures: list[bytes]) -> "PicturePrompt":
        """A prompt of ``text`` with ``pictures`` (files' contents) at its markers."""
        bitmaps = []
        try:
            for picture in pictures:
                bitmaps.append(self._bitmap(picture))
            return PicturePrompt(self, text, bitmaps)
        finally:
            for bitmap in bitmaps:
                mtmd.mtmd_bitmap_free(bitmap)

    def _bitmap(self, picture: bytes) -> ctypes.c_void_p:
        buffer = (ctypes.c_uint8 * len(picture)).from_buffer_copy(picture)
        bitmap: ctypes.c_void_p | None = mtmd.mtmd_helper_bitmap_init_from_buf(
            self.pointer, buffer, len(picture), False
        )
        if not bitmap:
            raise GgmlError(
                ErrNo.INVALID_ARGUMENT, "setInput: unable to load the image: unknown format"
            )
        return bitmap

    def __del__(self) -> None:
        if getattr(self, "pointer", None):
            mtmd.mtmd_free(self.pointer)


class PicturePrompt:
    """Chunks of text and pictures, tokenised.

    ``length`` counts positions, ``cells`` places in the KV cache. ``placeholders`` stand for
    the positions among a sequence's tokens; no other prompt's are the same.
    """

    def __init__(self, projector: Projector, text: bytes, bitmaps: list[ctypes.c_void_p]) -> None:
        self.projector = projector
        self.pointer = mtmd.mtmd_input_chunks_init()
        asked = mtmd.mtmd_input_text(text, len(text), True, True)
        array = (mtmd.mtmd_bitmap_p_ctypes * len(bitmaps))(*bitmaps)
        if mtmd.mtmd_tokenize(
            projector.pointer, self.pointer, ctypes.byref(asked), array, len(bitmaps)
        ):
            raise GgmlError(
                ErrNo.INVALID_ARGUMENT,
                f"setInput: unable to tokenize the mtmd prompt: it has {len(bitmaps)} pictures,"
                f" {text.count(MARKER)} places for one",
            )
        self.cells: int = mtmd.mtmd_helper_get_n_tokens(self.pointer)
        self.length: int = mtmd.mtmd_helper_get_n_pos(self.pointer)
        number = next(_numbers)
        self.placeholders = [-number] * self.length

    def largest(self) -> int:
        """Tokens of the largest picture that must be computed in one piece, 0 for none."""
        chunks = (
            mtmd.mtmd_input_chunks_get(self.pointer, index)
            for index in range(mtmd.mtmd_input_chunks_size(self.pointer))
        )
        return max(
            (
                mtmd.mtmd_input_chunk_get_n_tokens(chunk)
                for chunk in chunks
                if mtmd.mtmd_decode_use_non_causal(self.projector.pointer, chunk)
            ),
            default=0,
        )

    def evaluate(self, context: ctypes.c_void_p, slot: int, batch: int) -> bool:
        """Compute all of it as sequence ``slot`` of a llama context; whether that worked."""
        after = llama.llama_pos()
        result: int = mtmd.mtmd_helper_eval_chunks(
            *(self.projector.pointer, context, self.pointer, 0, slot, batch, True),
            ctypes.byref(after),
        )
        return result == 0

    def __del__(self) -> None:
        if getattr(self, "pointer", None):
            mtmd.mtmd_input_chunks_free(self.pointer)


def _unusable(path: Path, why: str) -> GgmlError:
    return GgmlError(
        ErrNo.INVALID_ARGUMENT, f"setInput: unable to load the mmproj model {path}: {why}"
    )
