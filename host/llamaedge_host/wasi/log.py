"""wasi:logging, which newer guests of LlamaEdge import."""

import time

from ..imports import Imports
from ..memory import Memory
from .streams import STDERR, STDOUT, Streams

MODULE = "wasi:logging/logging"

_STDOUT = (b"", b"stdout")
_LEVELS = ("trace", "debug", "info", "warning", "error", "critical")


class LogCalls:
    """The log function of one guest."""

    def __init__(self, memory: Memory, streams: Streams) -> None:
        self._memory = memory
        self._streams = streams

    def imports(self) -> Imports:
        """The one function."""
        return {("log", "iiiii"): self.log}

    def log(self, level: int, context: int, context_len: int, message: int, length: int) -> None:
        """``log``: write a line.

        Parameters:
            level: 0 trace, debug, info, warning, error, 5 critical.
            context: empty or "stdout" for standard output, else for standard error.
            context_len: its bytes.
            message: what is written, after the time and the level.
            length: its bytes.

        It has no result. A context that names a file is not honoured.
        See WasmEdge's lib/plugin/wasi_logging/func.cpp.
        """
        where = self._memory.read(context, context_len)
        text = self._memory.read(message, length)
        name = _LEVELS[level] if level < len(_LEVELS) else "info"
        now = time.time()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        line = f"[{stamp}.{int(now * 1000) % 1000:03}] [{name}] ".encode() + text + b"\n"
        self._streams.log(STDOUT if where in _STDOUT else STDERR, line)
