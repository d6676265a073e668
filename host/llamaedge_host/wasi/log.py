"""wasi:logging, which newer guests of LlamaEdge import."""

import os
import time
from collections.abc import Callable

from ..memory import Memory
from ..sockets.edge import Imports

MODULE = "wasi:logging/logging"

_LEVELS = ("trace", "debug", "info", "warning", "error", "critical")

Write = Callable[[bytes], None]
"""Takes what the guest writes to one of its streams."""


def to_descriptor(fd: int) -> Write:
    """A Write that goes to the host's descriptor ``fd``; what does not fit there is lost."""

    def write(data: bytes) -> None:
        while data:
            try:
                data = data[os.write(fd, data) :]
            except OSError:
                return

    return write


class LogCalls:
    """The log function of one guest."""

    def __init__(self, memory: Memory, stdout: Write, stderr: Write) -> None:
        self._memory = memory
        self._writes = {b"": stdout, b"stdout": stdout}
        self._stderr = stderr

    def imports(self) -> Imports:
        """The one function."""
        return {("log", "iiiii"): self.log}

    def log(self, level: int, context: int, context_len: int, message: int, length: int) -> None:
        """``level, ctx_ptr, ctx_len, msg_ptr, msg_len``: write a line.

        To standard output where the context is empty or "stdout", else to standard error: a
        context that names a file is not honoured. Levels are 0 trace to 5 critical.
        Source: WasmEdge's lib/plugin/wasi_logging/func.cpp.
        """
        where = self._memory.read(context, context_len)
        text = self._memory.read(message, length)
        name = _LEVELS[level] if level < len(_LEVELS) else "info"
        now = time.time()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        line = f"[{stamp}.{int(now * 1000) % 1000:03}] [{name}] ".encode() + text + b"\n"
        self._writes.get(where, self._stderr)(line)
