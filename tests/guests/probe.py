"""A small guest that makes any host call it is told to."""

import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from wasmtime import wat2wasm

from llamaedge_host import Guest

from .signatures import PREVIEW1

MODULE = "wasi_snapshot_preview1"
_TYPES = {"i": "i32", "I": "i64"}
_BITS = {"i": 32, "I": 64}

Import = tuple[str, str, str, str]
"""Module, name, parameter letters, result letters."""

WASI_IMPORTS: list[Import] = [(MODULE, name, params, "i") for name, params in PREVIEW1]


def probe_wasm(imports: Iterable[Import], pages: int = 8) -> bytes:
    """A module with an exported function for each import, which calls it, and a memory.

    The export of an import is ``module.name/parameters``.
    """
    imported, functions = [], []
    for index, (module, name, params, results) in enumerate(imports):
        signature = f"{_wat('param', params)} {_wat('result', results)}"
        imported.append(f'(import "{module}" "{name}" (func $i{index} {signature}))')
        arguments = " ".join(f"(local.get {each})" for each in range(len(params)))
        functions.append(
            f'(func (export "{module}.{name}/{params}") {signature} (call $i{index} {arguments}))'
        )
    text = f"""(module {" ".join(imported)}
        (memory (export "memory") {pages} {pages + 8})
        (func (export "load") (param i32) (result i64) (i64.load (local.get 0)))
        (func (export "load8") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "store") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
        (func (export "store8") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        {" ".join(functions)})"""
    return bytes(wat2wasm(text))


def _wat(kind: str, letters: str) -> str:
    return f"({kind} {' '.join(_TYPES[letter] for letter in letters)})" if letters else ""


def _signed(value: int, letter: str) -> int:
    bits = _BITS[letter]
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


_WASM = probe_wasm(WASI_IMPORTS)


class Probe:
    """A guest to call host functions through, and its memory.

    ``probe("sock_open", 1, 2, 8)`` calls the import of that name with that many parameters and
    answers its errno. Keyword arguments are Guest's.
    """

    def __init__(
        self,
        *,
        imports: list[Import] | None = None,
        wasm: bytes | None = None,
        **options: Any,
    ) -> None:
        imports = WASI_IMPORTS if imports is None else imports
        if wasm is None:
            wasm = _WASM if imports is WASI_IMPORTS else probe_wasm(imports)
        self.guest = Guest(wasm, **options)
        self._params = {
            (name, len(params)): (module, params) for module, name, params, _ in imports
        }

    def __call__(self, name: str, *arguments: int) -> int:
        module, params = self._params[name, len(arguments)]
        signed = [_signed(value, letter) for value, letter in zip(arguments, params, strict=True)]
        answer = self.guest.call(f"{module}.{name}/{params}", *signed)
        return 0 if answer is None else int(answer) & 0xFFFFFFFF  # type: ignore[call-overload]

    def write(self, pointer: int, data: bytes) -> None:
        """Put ``data`` into the guest's memory."""
        whole = len(data) // 8 * 8
        for offset in range(0, whole, 8):
            (value,) = struct.unpack_from("<q", data, offset)
            self.guest.call("store", pointer + offset, value)
        for offset in range(whole, len(data)):
            self.guest.call("store8", pointer + offset, data[offset])

    def read(self, pointer: int, length: int) -> bytes:
        """``length`` bytes of the guest's memory."""
        whole = range(0, length // 8 * 8, 8)
        words = [self.guest.call("load", pointer + offset) for offset in whole]
        rest = [self.guest.call("load8", pointer + each) for each in range(len(whole) * 8, length)]
        return struct.pack(f"<{len(words)}q", *words) + bytes(rest)  # type: ignore[arg-type]

    def pack(self, pointer: int, layout: str, *values: int) -> int:
        """Write ``values`` in the little-endian struct ``layout``; answers ``pointer``."""
        self.write(pointer, struct.pack(f"<{layout}", *values))
        return pointer

    def unpack(self, pointer: int, layout: str) -> tuple[int, ...]:
        """Read the little-endian struct ``layout``."""
        return struct.unpack(f"<{layout}", self.read(pointer, struct.calcsize(f"<{layout}")))

    def u32(self, pointer: int) -> int:
        """The number at ``pointer``."""
        return self.unpack(pointer, "I")[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.guest.close()
