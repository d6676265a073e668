"""args_get, environ_get and their sizes.

They are answered here because wasmtime takes only UTF-8, and only NAME=VALUE for the environment;
a command line may hold any bytes, and WasmEdge hands them on as they are.
"""

from collections.abc import Sequence

from ..imports import Imports
from ..memory import Memory
from ..preview1.errnos import MISALIGNED, Errno


class ArgumentCalls:
    """Those functions over one guest's arguments and environment, each without its NUL."""

    def __init__(
        self, memory: Memory, arguments: Sequence[bytes], environment: Sequence[bytes]
    ) -> None:
        self._arguments = _Strings(memory, arguments)
        self._environment = _Strings(memory, environment)

    def imports(self) -> Imports:
        """All four functions."""
        return {
            ("args_get", "ii"): self._arguments.get,
            ("args_sizes_get", "ii"): self._arguments.sizes_get,
            ("environ_get", "ii"): self._environment.get,
            ("environ_sizes_get", "ii"): self._environment.sizes_get,
        }


class _Strings:
    """A list of strings as a guest reads it."""

    def __init__(self, memory: Memory, strings: Sequence[bytes]) -> None:
        self._memory = memory
        self._strings = [each + b"\0" for each in strings]

    def get(self, pointers: int, strings: int) -> int:
        """``args_get`` and ``environ_get``: the strings.

        Parameters:
            pointers: where a pointer to each string is written, u32.
            strings: where the strings are written, each with its NUL.

        Result:
            ADDRNOTAVAIL: ``pointers`` is misaligned.

        See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#args_get
        """
        if pointers & 3:
            return MISALIGNED
        memory = self._memory
        memory.view(pointers, 4 * len(self._strings))
        memory.view(strings, sum(map(len, self._strings)))
        for index, each in enumerate(self._strings):
            memory.set_u32(pointers + 4 * index, strings)
            memory.write(strings, each)
            strings += len(each)
        return Errno.SUCCESS

    def sizes_get(self, count: int, size: int) -> int:
        """``args_sizes_get`` and ``environ_sizes_get``: the room that the strings take.

        Parameters:
            count: where their number is written, u32.
            size: where their bytes are written, NULs included, u32.

        Result:
            ADDRNOTAVAIL: a misaligned pointer.

        See https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#args_sizes_get
        """
        if (count | size) & 3:
            return MISALIGNED
        self._memory.view(size, 4)
        self._memory.set_u32(count, len(self._strings))
        self._memory.set_u32(size, sum(map(len, self._strings)))
        return Errno.SUCCESS
