"""The seam between the wasi-nn ABI and what computes.

``nn`` knows no llama.cpp, a backend knows no wasm. The shapes follow WasmEdge's plugin: a
graph is a loaded model with its configuration, a context one computation on it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..files import Files
from .errno import NnErrno
from .preload import Target

Output = Callable[[bytes], None]
"""Takes what a guest writes."""


class BackendError(Exception):
    """An operation failed: ``errno`` is for the guest, the message for the log."""

    backend = ""
    """The name of the backend that failed, "" where it was the ABI itself."""

    def __init__(self, errno: NnErrno, message: str) -> None:
        super().__init__(message)
        self.errno = errno


class Context(Protocol):
    """One execution context. Methods raise BackendError; Interrupted after ``cancel``."""

    def set_input(self, index: int, tensor_type: int, data: bytes) -> None:
        """Give the input ``index`` (1: metadata as JSON; any other: the prompt)."""

    def compute(self) -> NnErrno:
        """Run to the end; blocks. SUCCESS, CONTEXT_FULL or PROMPT_TOO_LONG."""

    def compute_single(self) -> NnErrno:
        """Make one token; blocks. SUCCESS or the state that the sequence has ended in."""

    def output(self, index: int) -> bytes:
        """Everything made so far (index 1: the counts as JSON)."""

    def output_single(self, index: int) -> bytes:
        """The last token's piece (index 1: the counts as JSON)."""

    def fini_single(self) -> None:
        """End the computation that compute_single began."""

    def cancel(self) -> None:
        """Wake a blocked compute, which raises Interrupted. Any thread."""

    def close(self) -> None:
        """Free what the context holds."""


class Graph(Protocol):
    """One loaded model with its configuration."""

    def context(self, files: Files, stdout: Output) -> Context:
        """A new execution context, whose metadata names ``files`` of the guest.

        What it prints goes to ``stdout``.
        """

    def close(self) -> None:
        """Unload: the model is freed when its last user is gone."""


class Backend(Protocol):
    """Loads graphs of one encoding."""

    def preload(self, path: Path) -> None:
        """Check the model file at ``path``; once loaded it stays until ``close``.

        Raises BackendError for a file that cannot be a model.
        """

    def load(self, path: Path, target: Target, config: str | None) -> Graph:
        """Load the model file at ``path`` for ``target`` with metadata JSON, or raise."""

    def statistics(self) -> dict[str, dict[str, object]]:
        """What it has done, by engine and name; numbers and histograms, fit for JSON."""

    def close(self) -> None:
        """Free what stays by ``preload``. Graphs still open are usable until they are closed."""
