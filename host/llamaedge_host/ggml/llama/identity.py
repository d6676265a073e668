"""What tells whether a saved state is one of a model, its context and a build of llama.cpp."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from ...nn.errno import NnErrno
from ..errors import GgmlError
from . import split
from .adapters import AdapterFile
from .context import ContextParameters
from .library import COMMIT
from .model import Model

_BLOCKS, _BLOCK = 256, 4096
"""How many places of a file are looked at, and bytes at each."""
_FREE = (
    "cells",
    "batch",
    "micro_batch",
    "threads",
    "parallel",
    "swap",
    "embeddings",
    "pooling",
    "draft",
)
"""What a sequence's state does not depend on."""


def identity(
    model: Model, parameters: ContextParameters, adapters: Sequence[AdapterFile] = ()
) -> str:
    """A digest that another model, other settings and another llama.cpp do not have.

    The ``adapters`` are some of it. A file is told by its size, the time of its last change, and
    256 places of it. Raises GgmlError for a model whose files cannot be read any more.
    """
    from importlib.metadata import version  # late: a start need not wait for it

    settings = {name: value for name, value in asdict(parameters).items() if name not in _FREE}
    told = json.dumps([COMMIT, version("llama_cpp_python"), settings], sort_keys=True)
    digest = sha256(told.encode())
    for path in (*split.paths(model.path), *(each.path for each in adapters)):
        digest.update(_looked_at(path))
    return digest.hexdigest()


def _looked_at(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            status = path.stat()
            digest = sha256(f"{status.st_size} {status.st_mtime_ns}".encode())
            for number in range(_BLOCKS):
                file.seek(status.st_size * number // _BLOCKS)
                digest.update(file.read(_BLOCK))
    except OSError as error:
        raise GgmlError(
            NnErrno.RUNTIME_ERROR, f"the model {path} cannot be read: {error.strerror}"
        ) from None
    return digest.digest()
