"""The ErrNo of wasi_ephemeral_nn as WasmEdge defines it (plugins/wasi_nn/wasinnenv.h)."""

from enum import IntEnum


class NnErrno(IntEnum):
    """A wasi-nn function's result."""

    SUCCESS = 0
    INVALID_ARGUMENT = 1
    INVALID_ENCODING = 2
    MISSING_MEMORY = 3
    BUSY = 4
    RUNTIME_ERROR = 5
    UNSUPPORTED_OPERATION = 6
    TOO_LARGE = 7
    NOT_FOUND = 8
    END_OF_SEQUENCE = 100
    CONTEXT_FULL = 101
    PROMPT_TOO_LONG = 102
    MODEL_NOT_FOUND = 103
