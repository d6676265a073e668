"""Pictures and recordings in prompts: projectors, and prompts with both, by llama.cpp's mtmd.

What is said of pictures here holds for recordings too, where nothing else is said of them.

Source: WasmEdge's GGML/core/input_processor.cpp, llama.cpp's tools/mtmd.
"""

import base64
import ctypes
import itertools
import math
import os
import re
import threading
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from llama_cpp import mtmd_cpp as mtmd

from ...nn.errno import NnErrno
from ..chat.pictures import Recording
from ..errors import GgmlError
from ..llama import gguf
from ..llama.library import first_error, forget_errors, llama, log_callback
from ..llama.memory import lacking
from ..llama.model import Model
from ..llama.openmp import end_team
from . import image, recording, trial
from .recording import MAX_SECONDS

MARKER = b"<image>"
"""Where the picture that metadata names stands in a prompt."""
MAX_PIXELS = 4 * image.MAX_PIXELS
"""Pixels of a prompt's pictures together: 768 MiB when decoded."""
ARCHITECTURE = "clip"
_TAG = rb'<(img src="data:image|audio src="data:audio)/[^;"<>]*;base64,([^"]*)">'
_TAGS = re.compile(_TAG)
_PLACES = re.compile(_TAG + b"|" + re.escape(MARKER))

Runs = list[tuple[bytes, bool]]

_numbers = itertools.count(1)
_decoding = threading.Lock()
"""Held while a picture is decoded, which takes up to 20 bytes for each of its pixels."""

_PICTURES_ALONE = mtmd.mtmd_helper_init_opt_default()
_PICTURES_ALONE.video_params.ffmpeg_bin_dir = os.devnull.encode()
"""What mtmd cannot decode it takes for a film, and starts the ffmpeg that lies here."""

mtmd.mtmd_helper_log_set(log_callback, ctypes.c_void_p(0))


def split(prompt: bytes, named: bytes | None) -> tuple[list[bytes], list[bytes]]:
    """The texts around a prompt's pictures, one more than those, and the pictures' files.

    A picture is base64 in the prompt, or a marker for the file ``named``; a recording is base64.
    Raises GgmlError (INVALID_ARGUMENT) for what is not base64, and for a named picture without a
    place.
    """
    texts = (_TAGS if named is None else _PLACES).split(prompt)
    given = zip(texts[1::3], texts[2::3], strict=True)
    pictures = [named or b"" if kind is None else _decoded(kind, text) for kind, text in given]
    if named is not None and not pictures:
        raise _refused(f"the prompt has no {MARKER.decode()} for the image")
    return texts[::3], pictures


def _decoded(kind: bytes, text: bytes) -> bytes:
    heard = kind.startswith(b"audio")
    try:
        file = base64.b64decode(text, validate=True)
    except ValueError as error:
        what = "recording" if heard else "image"
        raise _refused(f"the {what} is not base64: {error}") from None
    return Recording(file) if heard else file


class Projector:
    """A projector file: it turns pictures, recordings or both into embeddings for ``model``.

    Raises GgmlError (INVALID_ARGUMENT) for a file that is none, or one for another model.
    """

    def __init__(self, path: Path, model: Model, threads: int, *, gpu: bool) -> None:
        asked = mtmd.mtmd_context_params_default()
        asked.n_threads = threads
        asked.use_gpu = gpu
        asked.print_timings = False
        asked.warmup = False
        forget_errors()
        self.pointer = mtmd.mtmd_init_from_file(str(path).encode(), model.pointer, asked)
        end_team()
        if not self.pointer:
            raise _unusable(path, first_error("mtmd does not say why"))
        self._path = path
        self._sees: bool = mtmd.mtmd_support_vision(self.pointer)
        self._hears: bool = mtmd.mtmd_support_audio(self.pointer)
        if not (self._sees or self._hears):
            raise _unusable(path, "it is neither for pictures nor for sounds")
        self.number = next(_numbers)

    def prompt(self, texts: list[Runs], pictures: list[bytes]) -> "PicturePrompt":
        """A prompt of ``texts`` with ``pictures`` (files' contents) between them.

        A text is in runs, each with whether names of control tokens are tokens in it.

        Raises GgmlError (INVALID_ARGUMENT) for a picture that cannot be read, for one that this
        projector is not for, and for pictures of more than MAX_PIXELS, or recordings of more than
        MAX_SECONDS, together.
        """
        files = self._checked(pictures)
        bitmaps: list[ctypes.c_void_p] = []
        try:
            for file in files:
                with _decoding:
                    bitmaps.append(self._bitmap(file))
            return PicturePrompt(self, texts, bitmaps)
        finally:
            for bitmap in bitmaps:
                mtmd.mtmd_bitmap_free(bitmap)

    def _checked(self, pictures: list[bytes]) -> list[bytes]:
        """What of each file is to be decoded."""
        pixels, seconds = 0, 0.0
        files: list[bytes] = []
        for file in pictures:
            heard = isinstance(file, Recording)
            if not (self._hears if heard else self._sees):
                what, other = ("sound", "pictures") if heard else ("pictures", "sound")
                raise _refused(
                    f"the model takes no {what}: the projector {self._path.name} is for {other}"
                )
            if heard:
                data, length = _readable(file)
                files.append(Recording(data))
                seconds += length
            else:
                files.append(file)
                pixels += _pixels(file)
        if pixels > MAX_PIXELS:
            raise _refused(
                f"the images have {pixels} pixels together; {MAX_PIXELS} can be read at once"
            )
        if seconds > MAX_SECONDS:
            raise _refused(
                f"the recordings are {seconds:.0f} seconds long together; {MAX_SECONDS} can be read"
                " at once"
            )
        return files

    def _bitmap(self, file: bytes) -> ctypes.c_void_p:
        buffer = (ctypes.c_uint8 * len(file)).from_buffer_copy(file)
        bitmap: ctypes.c_void_p | None = mtmd.mtmd_helper_bitmap_init_from_buf(
            self.pointer, buffer, len(file), False, _PICTURES_ALONE
        )
        if not bitmap:
            what = "recording" if isinstance(file, Recording) else "image"
            raise _refused(
                f"the {what} cannot be read: it is damaged, or of a variant that cannot be read"
            )
        return bitmap

    def __del__(self) -> None:
        if getattr(self, "pointer", None):
            mtmd.mtmd_free(self.pointer)


def _pixels(file: bytes) -> int:
    try:
        return image.check(file)
    except image.ImageError as error:
        raise _refused(f"the image cannot be read: {error}") from None


def _readable(file: bytes) -> tuple[bytes, float]:
    try:
        return recording.readable(file)
    except recording.RecordingError as error:
        raise _refused(f"the recording cannot be read: {error}") from None


class Projectors:
    """The loaded projectors of this process, each as long as it is used. Any thread."""

    def __init__(self) -> None:
        self._loaded: WeakValueDictionary[tuple[Any, ...], Projector] = WeakValueDictionary()
        self._sound: set[tuple[int, ...]] = set()
        self._lock = threading.Lock()

    def get(self, path: Path, model: Model, threads: int, *, gpu: bool) -> Projector:
        """The projector at ``path`` for ``model``. Raises GgmlError (INVALID_ARGUMENT)."""
        with self._lock:
            try:
                status = path.stat()
            except OSError as error:
                raise _unusable(path, error.strerror or "it cannot be read") from None
            identity = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
            key = (identity, model, threads, gpu)
            projector = self._loaded.get(key)
            if projector is None:
                if why := lacking(status.st_size, gpu=gpu):
                    raise _unusable(path, why)
                if identity not in self._sound:
                    _check(path)
                    self._sound.add(identity)
                projector = self._loaded[key] = Projector(path, model, threads, gpu=gpu)
            return projector


def _check(path: Path) -> None:
    """Refuse a file that is no projector, or on which mtmd would end the process."""
    try:
        header = gguf.read(path)
    except (OSError, gguf.GgufError) as error:
        raise _unusable(path, str(error)) from None
    if header.architecture != ARCHITECTURE:
        raise _unusable(path, f"it is a {header.architecture} model, not a projector")
    rows = {tensor.name: tensor.shape for tensor in header.tensors}
    positions = rows.get("v.position_embd.weight", (0, 0))
    side = header.integer("vision.image_size") // (header.integer("vision.patch_size") or 1)
    kind = str(header.metadata.get("clip.projector_type"))
    if kind in FIXED and positions[-1] < side**2 + ("v.class_embd" in rows):
        raise _unusable(path, f"it has {positions[-1]} positions for {side**2} patches")
    if merged := SPREAD.get(kind):
        merged = header.integer("vision.projector.scale_factor") or merged
        columns = merged * math.isqrt(MOST_TOKENS * image.MAX_RATIO) + 1
        if positions[1] < columns:
            raise _unusable(path, f"it has {positions[1]} positions for {columns} columns")
    if not trial.survives(str(path)):
        raise _unusable(path, "its shapes do not fit each other")


SPREAD = {"gemma4v": 3}
"""Projectors with a position for each column and each row, and how many make up a token."""
MOST_TOKENS = 1120
"""Of a picture, for these projectors."""
FIXED = ("mlp", "ldp", "ldpv2", "gemma3")
"""Projectors with a position for each patch of a picture of one size."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in a prompt, or a tile of one.

    ``length`` counts its positions in a sequence, ``cells`` its places in the KV cache.
    """

    pointer: ctypes.c_void_p
    chunks: "_Chunks"
    length: int
    cells: int

    def evaluate(self, context: ctypes.c_void_p, slot: int, position: int, batch: int) -> bool:
        """Compute it into sequence ``slot`` of a llama context; whether that worked."""
        after = llama.llama_pos(position)
        result: int = mtmd.mtmd_helper_eval_chunk_single(
            *(self.chunks.projector.pointer, context, self.pointer, position, slot, batch, False),
            ctypes.byref(after),
        )
        return result == 0


class _Chunks:
    """mtmd's tokenised prompt, which its pictures lie in."""

    def __init__(self, projector: Projector) -> None:
        self.projector = projector
        self.pointer = mtmd.mtmd_input_chunks_init()

    def __del__(self) -> None:
        mtmd.mtmd_input_chunks_free(self.pointer)


class PicturePrompt:
    """A prompt of text and pictures, tokenised.

    ``tokens`` are the text's and, for each position of a picture, a placeholder: a number
    below 0 that only the same picture has. ``pictures`` has each by its first position,
    ``cells`` counts all places in the KV cache.
    """

    def __init__(
        self, projector: Projector, texts: list[Runs], bitmaps: list[ctypes.c_void_p]
    ) -> None:
        self.tokens: list[int] = []
        self.pictures: dict[int, Picture] = {}
        self.largest = 0
        """Cells of the largest picture that must be computed in one piece, 0 for none."""
        self._chunks = chunks = _Chunks(projector)
        parts = _parts(texts, bitmaps)
        pointers = (ctypes.POINTER(mtmd.mtmd_input_part) * len(parts))(*map(ctypes.pointer, parts))
        forget_errors()
        if mtmd.mtmd_tokenize_from_parts(
            projector.pointer, chunks.pointer, pointers, len(parts), True
        ):
            raise _refused(
                f"the prompt with its images cannot be tokenised: {first_error('no reason given')}"
            )
        for index in range(mtmd.mtmd_input_chunks_size(chunks.pointer)):
            self._add(mtmd.mtmd_input_chunks_get(chunks.pointer, index))
        self.cells: int = mtmd.mtmd_helper_get_n_tokens(chunks.pointer)
        if not self.tokens or self.tokens[-1] < 0:
            raise _refused("the prompt ends with a picture or a recording; text must follow it")

    def _add(self, chunk: ctypes.c_void_p) -> None:
        if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
            count = ctypes.c_size_t()
            tokens = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
            text = tokens[: count.value]
            if any(token < 0 for token in text):
                raise _refused("the model lacks a token that the projector puts around pictures")
            self.tokens += text
            return
        picture = Picture(
            *(chunk, self._chunks, mtmd.mtmd_input_chunk_get_n_pos(chunk)),
            mtmd.mtmd_input_chunk_get_n_tokens(chunk),
        )
        projector = self._chunks.projector
        if mtmd.mtmd_decode_use_non_causal(projector.pointer, chunk):
            self.largest = max(self.largest, picture.cells)
        name = b"%d %d %s" % (
            *(projector.number, picture.cells),
            mtmd.mtmd_input_chunk_get_id(chunk) or b"",
        )
        number = -2 * int.from_bytes(sha256(name).digest()[:16])
        self.pictures[len(self.tokens)] = picture
        self.tokens += [number - 2, *[number - 3] * (picture.length - 1)]


def _parts(texts: list[Runs], bitmaps: list[ctypes.c_void_p]) -> list[Any]:
    """What mtmd takes for ``texts`` with ``bitmaps`` between them."""
    parts: list[Any] = []
    for runs, bitmap in itertools.zip_longest(texts, bitmaps):
        for text, control in runs:
            if text:
                said = mtmd.mtmd_input_text(text, len(text), True, control)
                parts.append(mtmd.mtmd_input_part(ctypes.pointer(said), None))
        if bitmap is not None:
            parts.append(mtmd.mtmd_input_part(None, bitmap))
    return parts


def _refused(why: str) -> GgmlError:
    return GgmlError(NnErrno.INVALID_ARGUMENT, why)


def _unusable(path: Path, why: str) -> GgmlError:
    return _refused(f"the projector {path} cannot be loaded: {why}")
