"""llama.cpp as a library of this process: its build, its log, the CPUs it may use.

The bindings are llama-cpp-python's low-level ctypes module, imported here as ``llama``.
"""

import ctypes
import logging
import math
import os
import re
import threading
from importlib.metadata import version
from pathlib import Path

from llama_cpp import llama_cpp as llama

__all__ = [
    "BUILD_NUMBER",
    "COMMIT",
    "build",
    "cpus",
    "first_error",
    "forget_errors",
    "llama",
    "log_callback",
    "logging_to",
]

_log = logging.getLogger("llamaedge_host.nn")

COMMITS = {"0.3.36": "0c1e57098"}
"""llama.cpp's commit in each llama-cpp-python release, from its changelog."""
BUILD_NUMBER = 0
"""llama.cpp's build number; one built from a source archive has none."""

_LEVELS = {1: logging.DEBUG, 2: logging.INFO, 3: logging.WARNING, 4: logging.ERROR}
_CONTINUED = 5  # GGML_LOG_LEVEL_CONT: the rest of the line before
_ERRORS_KEPT = 8

COMMIT = COMMITS.get(version("llama_cpp_python"), "unknown")


def build() -> str:
    """llama.cpp's version, commit and CPU features, for one log line."""
    features = (llama.llama_print_system_info() or b"").decode(errors="replace").strip(" |")
    release = (llama.llama_version() or b"").decode(errors="replace")
    return f"llama.cpp {release} ({COMMIT}), {features}"


def cpus() -> int:
    """CPUs that this process may use: its affinity, cut by its cgroup's quota; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.floor(min(allowed or 1, _quota())))


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


class _Log:
    """llama.cpp's log lines: passed on while somebody wants them, the errors kept."""

    def __init__(self) -> None:
        self._line = ""
        self._level = logging.INFO
        self._wanted = 0
        self._lock = threading.Lock()
        self.errors: list[str] = []

    def want(self, more: int) -> None:
        with self._lock:
            self._wanted += more

    def write(self, level: int, text: bytes, _: object) -> None:
        if level != _CONTINUED:
            self._flush()
            self._level = _LEVELS.get(level, logging.INFO)
        self._line += text.decode(errors="replace")
        if self._line.endswith("\n"):
            self._flush()

    def _flush(self) -> None:
        line, self._line = self._line.rstrip(), ""
        if not line:
            return
        if self._level >= logging.ERROR and len(self.errors) < _ERRORS_KEPT:
            self.errors.append(line)
        if self._wanted:
            _log.log(self._level, "[WASI-NN] llama.cpp: %s", line)


_sink = _Log()
log_callback = llama.llama_log_callback(_sink.write)
llama.llama_log_set(log_callback, ctypes.c_void_p(0))
llama.llama_backend_init()


def logging_to(wanted: bool) -> None:
    """One more (or one less) graph wants llama.cpp's log."""
    _sink.want(1 if wanted else -1)


def forget_errors() -> None:
    """Forget llama.cpp's error lines, before a call whose errors are asked for."""
    _sink.errors.clear()


def first_error(otherwise: str) -> str:
    """The first error line of llama.cpp since, the one that names the cause."""
    line = _sink.errors[0] if _sink.errors else otherwise
    return re.sub(r"^\w+: (error loading model: )?", "", line)
