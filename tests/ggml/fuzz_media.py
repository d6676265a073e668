"""Gives a graph damaged pictures, projectors or vocoders, in a process of its own.

A bug of mtmd or llama.cpp would end it. usage: python -m tests.ggml.fuzz_media KIND FOLDER FIRST
LAST: prints a line for each seed from FIRST up to LAST. FOLDER is for its models.
"""

import contextlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.llama.gguf import read
from llamaedge_host.nn import Target
from llamaedge_host.nn.backend import BackendError

from ..models import pictures, speech, tiny, vision
from .conftest import ANYWHERE
from .fuzz import corrupted

RED = pictures.png((255, 0, 0))
FILES = (
    RED,
    pictures.png((255, 0, 0), 16, level=0),
    pictures.bmp((255, 0, 0)),
    pictures.gif((255, 0, 0), 8, frames=2),
    pictures.jpeg(200),
    pictures.jpeg(200, progressive=True),
)
PAIRS = (
    (tiny.llama, tiny.projector),
    (vision.qwen, vision.qwen_projector),
    (tiny.llama, vision.gemma_projector),
    (vision.gemma4, vision.gemma4_projector),
)
"""Models and their projectors."""
HEADER = 64
"""Bytes at a picture's beginning that are damaged as often as all others."""
NUMBERS = (b"\0\0", b"\xff\xff", b"\x7f\xff", b"\0\0\0\x80", b"\0\1\0\1")

Damage = Callable[[random.Random, bytearray], None]
Attempt = Callable[[int], str]


def _flip(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        data[_place(rng, data)] ^= 1 << rng.randrange(8)


def _number(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, number = _place(rng, data), rng.choice(NUMBERS)
        data[at : at + len(number)] = number


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data)) :]


def _lose(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    del data[at : at + rng.choice((1, 2, 16, 256))]


def _extend(rng: random.Random, data: bytearray) -> None:
    at = _place(rng, data)
    data[at:at] = rng.choice((b"", data[: at + 1])) + rng.randbytes(rng.choice((1, 4, 64, 4096)))


def _place(rng: random.Random, data: bytearray) -> int:
    return rng.randrange(min(HEADER, len(data)) if rng.random() < 0.5 else len(data))


DAMAGE: tuple[Damage, ...] = (_flip, _flip, _number, _cut, _lose, _extend)


def _answer(context: GgmlContext, prompt: bytes) -> str:
    try:
        context.set_input(0, 3, prompt)
        return context.compute().name
    except BackendError as error:
        return error.errno.name


@contextlib.contextmanager
def _context(backend: GgmlBackend, model: Path, **metadata: object) -> Iterator[GgmlContext]:
    config = {"ctx-size": 256, "threads": 1, "tts-output-file": "", **metadata}
    graph = backend.load(model, Target.AUTO, json.dumps(config))
    try:
        yield graph.context(ANYWHERE)
    finally:
        graph.close()


@contextlib.contextmanager
def _pictures(backend: GgmlBackend, folder: Path) -> Iterator[Attempt]:
    def attempt(seed: int) -> str:
        rng = random.Random(seed)
        data = bytearray(FILES[seed % len(FILES)])
        rng.choice(DAMAGE)(rng, data)
        return _answer(context, pictures.tag(bytes(data)) + b"the sea")

    projector = tiny.projector(folder / "mmproj.gguf")
    model = tiny.llama(folder / "model.gguf")
    with _context(backend, model, mmproj=str(projector), **{"n-predict": 1}) as context:
        yield attempt


@contextlib.contextmanager
def _projectors(backend: GgmlBackend, folder: Path) -> Iterator[Attempt]:
    def attempt(seed: int) -> str:
        context, sound = pairs[seed % len(pairs)]
        with _corrupted(sound, folder, seed) as damaged:
            context.set_input(1, 3, json.dumps({"mmproj": str(damaged)}).encode())
            return _answer(context, pictures.tag(RED) + b"the sea")

    pairs: list[tuple[GgmlContext, Path]] = []
    with contextlib.ExitStack() as stack:
        for number, (model, projector) in enumerate(PAIRS):
            context = _context(backend, model(folder / f"{number}.model"), **{"n-predict": 1})
            sound = projector(folder / f"{number}.mmproj")
            pairs.append((stack.enter_context(context), sound))
        yield attempt


@contextlib.contextmanager
def _vocoders(backend: GgmlBackend, folder: Path) -> Iterator[Attempt]:
    def attempt(seed: int) -> str:
        with _corrupted(sound, folder, seed) as damaged:
            context.set_input(1, 3, json.dumps({"model-vocoder": str(damaged)}).encode())
            return _answer(context, b"hello")

    sound = speech.vocoder(folder / "vocoder.gguf")
    model = speech.speaker(folder / "model.gguf")
    with _context(backend, model, tts=True, **{"n-predict": 8}) as context:
        yield attempt


@contextlib.contextmanager
def _corrupted(sound: Path, folder: Path, seed: int) -> Iterator[Path]:
    """A damaged copy of ``sound``; a file that llama.cpp has mapped must not be written again."""
    last = read(sound).tensors[-1]
    content = sound.read_bytes()
    path = folder / f"{seed}.gguf"
    path.write_bytes(corrupted(content, len(content) - last.offset - last.size, seed)[1])
    try:
        yield path
    finally:
        path.unlink()


KINDS = {"pictures": _pictures, "projectors": _projectors, "vocoders": _vocoders}


def main() -> None:
    kind, folder, first, last = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:5])
    backend = GgmlBackend(parallel=1)
    with KINDS[kind](backend, folder) as attempt:
        for seed in range(first, last):
            sys.stdout.write(f"{seed} begin\n")
            sys.stdout.flush()
            sys.stdout.write(f"{seed} {attempt(seed)}\n")
            sys.stdout.flush()
    backend.close()


if __name__ == "__main__":
    main()
