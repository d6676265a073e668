"""Computes with random metadata, in a process of its own since a bug of llama.cpp would end it.

usage: stress FIRST LAST MODEL ...: prints a line for each seed from FIRST up to LAST.
"""

import json
import random
import sys
from pathlib import Path
from typing import Any

from grammars import written

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.llama.context import CACHE_TYPES
from llamaedge_host.ggml.metadata.keys import BY_NAME, Key, Scope
from llamaedge_host.nn import Target
from llamaedge_host.nn.backend import BackendError

PROMPTS = (b"the sea and", b"a", b"", b"the sea " * 40, b"\xff\xfe\x00", "漢字".encode())
REALS = (-1e300, -1e38, -1.0, -1e-30, 0.0, 1e-30, 0.5, 1.0, 2.0, 1e10, 1e38, 1e300)
WHOLE = (-(2**31), -1, 0, 1, 2, 3, 7, 16, 31, 32, 33, 255, 256, 257, 511, 1000, 1 << 20, 2**31 - 1)
TEXTS: dict[str, tuple[str, ...]] = {
    "tensor-split": ("", "3,2", "1", "0,0", "0.5 0.5", "1e30"),
    "json-schema": ("", "", '{"type": "boolean"}', '{"enum": ["sea", 1]}'),
    "chat-template": ("", "{{ messages[0].content }}", "{% for"),
    "dry-sequence-breakers": ("", '["\\n", "sea"]', "[]", '[""]', "x"),
    "samplers": ("", "top_k;top_p", "dry;xtc;temperature", "top_k;nonsense"),
    "logit-bias": ("", "[[1, 5.5], [2, null]]", '[["sea", -100]]', "[[1000000, 1]]", "[1"),
    "lora": ("", "[]", '[{"id": 0, "scale": 1}]', "[1"),
    "reasoning-open": ("", "<think>", "the"),
    "reasoning-close": ("", "</think>", "sea"),
    "model-draft": ("", "nobody"),
    "reverse-prompt": ("", "a", "the", "\u6f22"),
}
FIXED: dict[str, Any] = {"threads": 1, "threads-batch": 1, "stream-stdout": False}
OMITTED = {"mmproj", "image", "tts", "model-vocoder", "tts-output-file", "tts-speaker-file"}
DRAWN = [
    key
    for key in BY_NAME.values()
    if key.scope is not Scope.TOOL and key.name not in OMITTED | FIXED.keys()
]


def value(key: Key, rng: random.Random) -> Any:
    """A value of ``key`` within its range, at its ends as often as not."""
    if key.choices:
        return rng.choice(key.choices)
    if key.kind is bool:
        return rng.random() < 0.5
    if key.kind is float:
        return rng.choice(REALS)
    if key.name == "grammar":
        return rng.choice(("", written(rng)))
    if key.kind is str:
        return rng.choice(TEXTS[key.name])
    if key.name.startswith("cache-type"):
        return rng.choice([*CACHE_TYPES.values(), rng.randrange(43)])
    if key.name == "ctx-size":
        return rng.choice((0, 1, 256, 257, 1000, 4096))
    numbers = [number for number in (*WHOLE, key.low, key.high) if key.low <= number <= key.high]
    return int(rng.choice(numbers))


def metadata(rng: random.Random) -> dict[str, Any]:
    """A few keys, or most of them, with values that parse."""
    keys = rng.sample(DRAWN, rng.choice((2, 4, 8, len(DRAWN))))
    return FIXED | {"n-predict": 3} | {key.name: value(key, rng) for key in keys}


def compute(context: GgmlContext, prompt: bytes, whole: int) -> str:
    """Compute whole or a few pieces; the errno."""
    try:
        context.set_input(0, 3, prompt)
        return context.compute().name if whole else single(context)
    except BackendError as error:
        return error.errno.name
    finally:
        context.output(0)
        context.output(1)


def single(context: GgmlContext) -> str:
    """Make a few tokens, as may have been begun before; the errno."""
    try:
        return max(context.compute_single() for _ in range(3)).name
    except BackendError as error:
        return error.errno.name


def attempt(backend: GgmlBackend, path: Path, rng: random.Random) -> list[str]:
    """Load, compute in two contexts, change the graph meanwhile; what each answered."""
    first, then = metadata(rng), metadata(rng)
    if rng.random() < 0.7:  # text, rather than what embeddings refuse
        for keys in first, then:
            for name in ("embedding", "reranking"):
                keys.pop(name, None)
    try:
        graph = backend.load(path, Target.AUTO, json.dumps(first))
    except BackendError as error:
        return [error.errno.name]
    context, other = graph.context(), graph.context()
    said = [compute(context, rng.choice(PROMPTS), rng.randrange(2))]
    said.append(compute(other, rng.choice(PROMPTS), 0))
    try:
        context.set_input(1, 3, json.dumps(then).encode())
    except BackendError as error:
        said.append(error.errno.name)
    said.append(compute(context, rng.choice(PROMPTS), rng.randrange(2)))
    said.append(single(other))
    for each in context, other:
        each.close()
    graph.close()
    return said


def main() -> None:
    (first, last), paths = map(int, sys.argv[1:3]), [Path(name) for name in sys.argv[3:]]
    backend = GgmlBackend(parallel=2)
    for seed in range(first, last):
        rng = random.Random(seed)
        path = rng.choice(paths)
        sys.stdout.write(f"{seed} {path.stem} begin\n")
        sys.stdout.flush()
        sys.stdout.write(f"{seed} {path.stem} {' '.join(attempt(backend, path, rng))}\n")
        sys.stdout.flush()
    backend.close()


if __name__ == "__main__":
    main()
