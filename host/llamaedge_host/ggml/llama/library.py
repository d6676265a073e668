"""llama.cpp as a library of this process: its build, its log, the CPUs it may use.

The bindings are llama-cpp-python's low-level ctypes module, imported here as ``llama``.
"""

import ctypes
import logging
import math
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import llama_cpp
from llama_cpp import llama_cpp as llama

__all__ = [
    "BUILD_NUMBER",
    "COMMIT",
    "build",
    "cpus",
    "first_error",
    "forget_errors",
    "function",
    "ggml",
    "llama",
    "log_callback",
    "logging_to",
    "quick",
    "recorded",
]

_log = logging.getLogger("llamaedge_host.nn")

_BUILDS = {"0.3.36": (11312, "0c1e57098")}
"""llama.cpp's build number and commit in each llama-cpp-python release: its changelog names the
commit, llama.cpp's release of that commit the number. The library, which is built from a source
archive, knows neither."""

ggml = llama._lib
"""ggml's functions, found by way of llama.cpp's library: another copy of ggml's, such as the
bindings' own, has devices of its own."""


def function(name: str, result: Any, *arguments: Any) -> Any:
    """ggml's function ``name``, with the types of its ``result`` and its ``arguments``."""
    found = getattr(ggml, name)
    found.restype, found.argtypes = result, list(arguments)
    return found


def quick(name: str, result: Any, *arguments: Any) -> Any:
    """The same for what takes microseconds: called with the GIL, which is not given up for it.

    Whoever gives it up may have to wait for it until another thread blocks.
    """
    found = getattr(_held, name)
    found.restype, found.argtypes = result, list(arguments)
    return found


_held = ctypes.PyDLL(ggml._name, handle=ggml._handle)
_LEVELS = {1: logging.DEBUG, 2: logging.INFO, 3: logging.WARNING, 4: logging.ERROR}
_CONTINUED = 5  # GGML_LOG_LEVEL_CONT: the rest of the line before
_ERRORS_KEPT = 8

BUILD_NUMBER, COMMIT = _BUILDS.get(llama_cpp.__version__, (0, "unknown"))
"""llama.cpp's, 0 and "unknown" for a release that is not known here."""


def build() -> str:
    """llama.cpp's version, commit and CPU features, for one log line."""
    features = (llama.llama_print_system_info() or b"").decode(errors="replace").strip(" |")
    release = (llama.llama_version() or b"").decode(errors="replace")
    return f"llama.cpp {release} ({COMMIT}), {features}"


def cpus() -> int:
    """CPUs that this process may use: its affinity, cut by its cgroup's quota; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.floor(min(allowed or 1, _quota())))


@cache
def _quota() -> float:
    """CPUs that the cgroup's quota allows (cpu.max of v2, cpu.cfs_quota_us of v1)."""
    v2 = _words(Path("/sys/fs/cgroup/cpu.max"))
    if len(v2) == 2 and v2[0] != "max":
        return int(v2[0]) / int(v2[1])
    quota = _words(Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
    period = _words(Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us"))
    if quota and period and int(quota[0]) > 0:
        return int(quota[0]) / int(period[0])
    return math.inf


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _load_backends() -> None:
    """Load the backends that are libraries of their own, of several for CPUs the best one.

    They lie beside llama.cpp's library; ggml itself would look in the current directory.
    """
    count = ggml.ggml_backend_dev_count
    count.restype, count.argtypes = ctypes.c_size_t, []
    if count():
        return
    load = ggml.ggml_backend_load_all_from_path
    load.restype, load.argtypes = None, [ctypes.c_char_p]
    load(os.fsencode(Path(ggml._name).parent))


class _Lines(threading.local):
    """What llama.cpp logs in one thread: the line being written, the errors, what is recorded."""

    def __init__(self) -> None:
        self.line = ""
        self.level = logging.INFO
        self.errors: list[str] = []
        self.record: list[str] | None = None


class _Log:
    """llama.cpp's log lines: passed on while somebody wants them, each thread's errors kept."""

    def __init__(self) -> None:
        self._wanted = 0
        self._lock = threading.Lock()
        self.mine = _Lines()

    def want(self, more: int) -> None:
        with self._lock:
            self._wanted += more

    def write(self, level: int, text: bytes, _: object) -> None:
        mine = self.mine
        if level != _CONTINUED:
            self._flush(mine)
            mine.level = _LEVELS.get(level, logging.INFO)
        mine.line += text.decode(errors="replace")
        if mine.line.endswith("\n"):
            self._flush(mine)

    def _flush(self, mine: _Lines) -> None:
        line, mine.line = mine.line.rstrip(), ""
        if not line:
            return
        if mine.level >= logging.ERROR and len(mine.errors) < _ERRORS_KEPT:
            mine.errors.append(line)
        if mine.record is not None:
            mine.record.append(line)
        if self._wanted:
            _log.log(mine.level, "[WASI-NN] llama.cpp: %s", line)


_sink = _Log()
log_callback = llama.llama_log_callback(_sink.write)
llama.llama_log_set(log_callback, ctypes.c_void_p(0))
_load_backends()
llama.llama_backend_init()


def logging_to(wanted: bool) -> None:
    """One more (or one less) graph wants llama.cpp's log."""
    _sink.want(1 if wanted else -1)


def forget_errors() -> None:
    """Forget this thread's error lines of llama.cpp, before a call whose errors are asked for."""
    _sink.mine.errors.clear()


@contextmanager
def recorded() -> Iterator[list[str]]:
    """What llama.cpp logs in this thread within the block, line by line."""
    mine, lines = _sink.mine, list[str]()
    before, mine.record = mine.record, lines
    try:
        yield lines
    finally:
        mine.record = before
        if before is not None:
            before += lines


def first_error(otherwise: str) -> str:
    """This thread's first error line of llama.cpp since, the one that names the cause."""
    errors = _sink.mine.errors
    return re.sub(r"^\w+: (error loading model: )?", "", errors[0] if errors else otherwise)
