"""Checks a GGUF file before llama.cpp sees it.

Source: ggml's docs/gguf.md and gguf.cpp. A file is magic, version (u32), tensor count and
metadata count (u64), the metadata pairs, the tensor table, padding, then the tensors' data.
"""

import errno
import math
import mmap
import os
import stat
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ...first_bytes import ENOUGH, described

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MAX_NAME = 64
MAX_DIMENSIONS = 4
MAX_LAYERS = 512
MAX_STRING = 1 << 30
KEPT_STRINGS = 8
"""Of an array of texts; of numbers, one is kept for each layer that a model can have."""
TOKENS = "tokenizer.ggml.tokens"
_TOKEN_ID = "_token_id"
SPLIT_COUNT = "split.count"
"""Of a model in several files, how many there are."""
SPLIT_NUMBER = "split.no"
"""Of a model in several files, which one it is; only number 0 has the metadata."""

_SENTENCEPIECE = "llama"
_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    _BOOL: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_PACKED = {kind: struct.Struct(layout) for kind, layout in _SCALARS.items()}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")

TENSOR_TYPES = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    9: (32, 36),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    15: (256, 292),
    16: (256, 66),
    17: (256, 74),
    18: (256, 98),
    19: (256, 50),
    20: (32, 18),
    21: (256, 110),
    22: (256, 82),
    23: (256, 136),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    29: (256, 56),
    30: (1, 2),
    34: (256, 54),
    35: (256, 66),
    39: (32, 17),
    40: (64, 36),
    41: (128, 18),
    42: (64, 18),
}
"""Elements and bytes of a block of each ggml_type."""


class GgufError(Exception):
    """A file is not a GGUF that can be loaded; the message says why."""


@dataclass
class Tensor:
    """A row of the tensor table; ``offset`` counts from the data's beginning, in bytes."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int
    size: int


@dataclass
class Gguf:
    """What a file's header says. Of an array, its length and first few values are kept."""

    version: int
    metadata: dict[str, object] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)
    size: int = 0

    @property
    def architecture(self) -> str:
        """``general.architecture``, "" if missing."""
        value = self.metadata.get("general.architecture", "")
        return value if isinstance(value, str) else ""

    def integer(self, key: str) -> int:
        """The architecture's integer ``key`` (``block_count``...), 0 if missing."""
        value = self.metadata.get(f"{self.architecture}.{key}", 0)
        return value if isinstance(value, int) else 0

    @property
    def named_tokens(self) -> list[int]:
        """The tokens that the metadata has a name for, as ``tokenizer.ggml.eom_token_id``."""
        found = (value for key, value in self.metadata.items() if key.endswith(_TOKEN_ID))
        return [each for each in found if isinstance(each, int)]

    def by_layer(self, key: str) -> list[int]:
        """The architecture's integer ``key`` of each layer, whether it is one for all or an array.

        Empty if it is missing.
        """
        value = self.metadata.get(f"{self.architecture}.{key}")
        layers = self.integer("block_count")
        if isinstance(value, list):
            return [each for each in value[:layers] if isinstance(each, int)]
        return [value] * layers if isinstance(value, int) else []


def open_regular(path: Path) -> BinaryIO:
    """The file at ``path``; waits for nobody. Raises OSError, also for what is no regular file."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return file


def read(path: Path) -> Gguf:
    """The header of the GGUF at ``path``.

    Raises GgufError for a file that is not a sound GGUF, FileNotFoundError, and OSError.
    """
    with open_regular(path) as file:
        start = file.read(ENOUGH)
        if start[:4] != MAGIC:
            raise GgufError(f"it is not a GGUF file: {described(start)}")
        if len(start) < 8:
            raise GgufError("it is cut off within its header")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Reader(data).file()


def _check_values(gguf: Gguf) -> None:
    """Refuse values on which llama.cpp ends the process rather than answer an error."""
    layers = gguf.metadata.get(f"{gguf.architecture}.block_count", 1)
    if not isinstance(layers, int) or not 1 <= layers <= MAX_LAYERS:
        raise GgufError(f"its block_count is {layers!r}, not from 1 to {MAX_LAYERS}")
    for key, value in gguf.metadata.items():
        if key.endswith("epsilon") and isinstance(value, float) and not 0 <= value < math.inf:
            raise GgufError(f"its {key} is {value}")


class _Reader:
    """Reads a header from the front; every length is checked before it is believed."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._size = len(data)
        self._at = len(MAGIC)
        self._tokens: set[bytes] = set()

    def file(self) -> Gguf:
        version = self._number(_U32)
        if version not in VERSIONS:
            raise GgufError(f"it is GGUF version {version}; versions 2 and 3 can be read")
        tensors, pairs = self._number(_U64), self._number(_U64)
        gguf = Gguf(version, size=self._size)
        self._fits(tensors, 24, "tensors")
        self._fits(pairs, 13, "metadata pairs")
        for _ in range(pairs):
            self._pair(gguf)
        for _ in range(tensors):
            gguf.tensors.append(self._tensor())
        self._check(gguf)
        return gguf

    def _pair(self, gguf: Gguf) -> None:
        key = self._string("a metadata key")
        if not key or key in gguf.metadata:
            raise GgufError(f"its metadata key {key!r} is {'there twice' if key else 'empty'}")
        kind = self._number(_U32)
        if kind != _ARRAY:
            gguf.metadata[key] = self._value(kind, key)
            return
        kind, count = self._number(_U32), self._number(_U64)
        gguf.lengths[key] = count
        gguf.metadata[key] = self._array(kind, count, key)

    def _array(self, kind: int, count: int, key: str) -> list[object]:
        if kind == _STRING:
            return self._strings(count, key)
        packed = self._packed(kind, key)
        self._fits(count, packed.size, f"values in {key}")
        kept = range(self._at, self._at + min(count, MAX_LAYERS) * packed.size, packed.size)
        self._at += count * packed.size
        return [packed.unpack_from(self._data, at)[0] for at in kept]

    def _strings(self, count: int, key: str) -> list[object]:
        self._fits(count, _U64.size, f"strings in {key}")
        texts: list[bytes] = []
        at, data, unpack = self._at, self._data, _U64.unpack_from
        seen = count if key == TOKENS else min(count, KEPT_STRINGS)
        try:
            for _ in range(seen):
                begin = at + 8
                at = begin + unpack(data, at)[0]
                texts.append(data[begin:at])
            for _ in range(count - seen):
                at += 8 + unpack(data, at)[0]
        except (struct.error, OverflowError):
            raise GgufError("it is cut off within its header") from None
        if at > self._size:
            raise GgufError(f"a string in {key} ends past the file's end")
        if key == TOKENS:
            whole = (text.partition(b"\0")[0] for text in texts)
            self._tokens = {text or b"%d" % index for index, text in enumerate(whole)}
        self._at = at
        return [text.decode(errors="replace") for text in texts[:KEPT_STRINGS]]

    def _value(self, kind: int, key: str) -> object:
        if kind == _STRING:
            return self._string(key)
        return self._number(self._packed(kind, key))

    def _packed(self, kind: int, key: str) -> struct.Struct:
        if kind not in _PACKED:
            raise GgufError(f"its metadata {key} has the unknown type {kind}")
        return _PACKED[kind]

    def _tensor(self) -> Tensor:
        name = self._string("a tensor's name")
        dimensions = self._number(_U32)
        if len(name.encode()) >= MAX_NAME or dimensions > MAX_DIMENSIONS:
            raise GgufError(f"its tensor {name[:MAX_NAME]!r} has {dimensions} dimensions")
        shape = tuple(self._number(_U64) for _ in range(dimensions))
        kind, offset = self._number(_U32), self._number(_U64)
        if kind not in TENSOR_TYPES:
            raise GgufError(f"its tensor {name} has the unknown type {kind}")
        block, width = TENSOR_TYPES[kind]
        elements = 1
        for extent in shape:
            elements *= extent
        if not elements or (shape[0] if shape else 1) % block:
            raise GgufError(f"its tensor {name} has the impossible shape {shape}")
        return Tensor(name, shape, kind, offset, elements // block * width)

    def _check(self, gguf: Gguf) -> None:
        alignment = gguf.metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise GgufError(f"its general.alignment is {alignment!r}, not a power of two")
        if not gguf.architecture and not gguf.metadata.get(SPLIT_NUMBER):
            raise GgufError("its metadata lacks general.architecture")
        _check_values(gguf)
        self._check_tokens(gguf)
        begin = -(-self._at // alignment) * alignment
        seen: set[str] = set()
        expected = 0
        for tensor in gguf.tensors:
            if tensor.name in seen:
                raise GgufError(f"its tensor {tensor.name} is there twice")
            seen.add(tensor.name)
            if tensor.offset != expected:
                raise GgufError(f"its tensor {tensor.name} lies at {tensor.offset}, not {expected}")
            expected += -(-tensor.size // alignment) * alignment
            if begin + tensor.offset + tensor.size > self._size:
                raise GgufError(
                    f"its tensor {tensor.name} ends at byte {begin + tensor.offset + tensor.size},"
                    f" but the file has {self._size}: it is cut off"
                )

    def _check_tokens(self, gguf: Gguf) -> None:
        if len(self._tokens) < gguf.lengths.get(TOKENS, 0):
            raise GgufError("its vocabulary has a token twice")
        if gguf.metadata.get("tokenizer.ggml.model") == _SENTENCEPIECE:
            for byte in range(256):
                if not {b"<0x%02X>" % byte, b"%c" % byte} & self._tokens:
                    raise GgufError(f"its vocabulary has no token for the byte {byte}")

    def _fits(self, count: int, least: int, what: str) -> None:
        if count * least > self._size - self._at:
            raise GgufError(f"it claims {count} {what}, more than a file of its size can hold")

    def _number(self, packed: struct.Struct) -> int:
        if self._at + packed.size > self._size:
            raise GgufError("it is cut off within its header")
        value: int = packed.unpack_from(self._data, self._at)[0]
        self._at += packed.size
        return value

    def _string(self, what: str) -> str:
        length = self._number(_U64)
        if length > MAX_STRING or self._at + length > self._size:
            raise GgufError(f"{what} claims {length} bytes, past the file's end")
        text = self._data[self._at : self._at + length]
        self._at += length
        return text.decode(errors="replace")
