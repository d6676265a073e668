"""State files: a sequence's KV cache with its tokens, for another process.

A file is MAGIC, the bytes of a JSON object (u32), the object, the tokens (i32 each), and what
llama.cpp saves of the sequence. Numbers are little-endian. The object has the ``identity`` of what
computed it, the number of ``tokens``, the ``first`` position that is there, the ``bytes`` of the
state, the scales of the ``adapters`` that computed it, and checksums of both.
"""

import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...whole_file import write_whole
from ..llama.adapters import Scales
from ..llama.context import State

MAGIC = b"LEKV0001"
_LENGTH = struct.Struct("<I")
_LONGEST_HEAD = 65536  # bytes
_NUMBERS = ("tokens", "first", "bytes", "tokens_check", "check")


class StateFileError(Exception):
    """A file is no state that can be restored; the message says why."""


@dataclass(frozen=True, eq=False)
class Stored:
    """The KV cache of ``tokens`` in the file ``path``, which is ``size`` bytes long."""

    path: Path
    tokens: list[int]
    first: int
    size: int
    adapters: Scales = ()


def write(
    path: Path, identity: str, tokens: list[int], first: int, state: State, adapters: Scales = ()
) -> Stored:
    """Make ``path`` a state file, at once and for its owner alone. Raises OSError."""
    numbers = np.array(tokens, dtype="<i4").tobytes()
    head = json.dumps(
        {
            "identity": identity,
            "tokens": len(tokens),
            "first": first,
            "adapters": adapters,
            "bytes": state.nbytes,
            "tokens_check": zlib.crc32(numbers),
            "check": zlib.crc32(state.data),
        }
    ).encode()
    data = bytearray().join((MAGIC, _LENGTH.pack(len(head)), head, numbers, state.data))
    write_whole(path, data)
    return Stored(path, tokens, first, len(data), adapters)


def read(path: Path, identity: str) -> Stored:
    """The state file ``path`` without its state. Raises StateFileError and OSError."""
    with path.open("rb") as file:
        head, tokens = _head(file, identity)
        size = file.tell() + head["bytes"]
        if os.fstat(file.fileno()).st_size != size:
            raise StateFileError("it is not as long as it says")
    return Stored(path, tokens, head["first"], size, tuple(head["adapters"]))


def read_state(stored: Stored, identity: str) -> State:
    """The state in the file. Raises StateFileError and OSError."""
    with stored.path.open("rb") as file:
        head, tokens = _head(file, identity)
        if tokens != stored.tokens:
            raise StateFileError("it is another one by now")
        state: State = np.fromfile(file, dtype=np.uint8)
    if state.nbytes != head["bytes"] or zlib.crc32(state.data) != head["check"]:
        raise StateFileError("its state is damaged")
    return state


def _head(file: BinaryIO, identity: str) -> tuple[dict[str, Any], list[int]]:
    if file.read(len(MAGIC)) != MAGIC:
        raise StateFileError("it is no state file")
    length = int.from_bytes(file.read(_LENGTH.size), "little")
    try:
        head = json.loads(file.read(min(length, _LONGEST_HEAD)))
        whole = all(type(head[name]) is int and head[name] >= 0 for name in _NUMBERS)
        whole = whole and all(isinstance(scale, float) for scale in head["adapters"])
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise StateFileError("its head is damaged")
    if head.get("identity") != identity:
        raise StateFileError(
            "it is of another model, another version of llama.cpp, or other settings of the context"
        )
    numbers = file.read(4 * head["tokens"])
    if len(numbers) != 4 * head["tokens"] or zlib.crc32(numbers) != head["tokens_check"]:
        raise StateFileError("its tokens are damaged")
    return head, np.frombuffer(numbers, dtype="<i4").tolist()
