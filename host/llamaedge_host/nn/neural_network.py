"""The process's neural networks: preloads and backends, shared by every guest."""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import PreloadError
from ..files import NO_FILES, Files
from ..memory import Memory
from .backend import Backend, BackendError, Graph, Output
from .errno import NnErrno
from .preload import Encoding, Preload, Target
from .session import Session


class NeuralNetwork:
    """What ``wasi_ephemeral_nn`` offers to the guests of this process.

    ``preloads`` are looked up by name; of two with one name the first counts, as in WasmEdge.
    ``parallel`` is the number of sequences that one model decodes at once, None for a number
    that fits the machine. ``rpc`` are the addresses, HOST:PORT, of llama.cpp's RPC workers, whose
    devices are used as if they were GPUs. ``backends`` makes the backend of an encoding when the
    first graph of that encoding is loaded.
    """

    def __init__(
        self,
        preloads: Sequence[Preload] = (),
        *,
        parallel: int | None = None,
        rpc: Sequence[str] = (),
        backends: Mapping[Encoding, Callable[[], Backend]] | None = None,
    ) -> None:
        self.preloads: dict[str, Preload] = {}
        for preload in preloads:
            self.preloads.setdefault(preload.name, preload)
        self._makers = backends or {
            Encoding.GGML: lambda: _ggml(parallel, self._files_of(Encoding.GGML), rpc)
        }
        self._backends: dict[Encoding, Backend] = {}
        self._lock = threading.Lock()

    def _files_of(self, encoding: Encoding) -> dict[str, Path]:
        return {
            name: preload.path
            for name, preload in self.preloads.items()
            if preload.encoding == encoding
        }

    def session(
        self, memory: Memory, files: Files = NO_FILES, stdout: Output | None = None
    ) -> Session:
        """The functions and handles of one guest, which may name ``files`` in metadata.

        What it has printed goes to ``stdout``, None for this process's own.
        """
        files = files.naming(str(preload.path) for preload in self.preloads.values())
        return Session(memory, self, files, stdout or _print)

    def preload_all(self) -> None:
        """Check the file of every preloaded model now, and keep each model once it is loaded.

        The first guest that asks for one loads it, with the settings that it has. Raises
        PreloadError for the first file that cannot be a model.
        """
        for preload in self.preloads.values():
            try:
                self.backend(preload.encoding).preload(preload.path)
            except BackendError as error:
                raise PreloadError(f"model {preload.name!r}: {error}") from error

    def load_by_name(self, name: str, config: str | None) -> Graph:
        """A new graph on the preload ``name``, with metadata JSON. Raises BackendError."""
        preload = self.preloads.get(name)
        if preload is None:
            known = ", ".join(self.preloads) or "none"
            raise BackendError(
                NnErrno.NOT_FOUND, f"no model is preloaded as {name!r} (preloaded: {known})"
            )
        return self.backend(preload.encoding).load(preload.path, preload.target, config)

    def load(self, path: Path, encoding: Encoding, target: Target, config: str | None) -> Graph:
        """A new graph on the model file at ``path``. Raises BackendError."""
        return self.backend(encoding).load(path, target, config)

    def backend(self, encoding: Encoding) -> Backend:
        """The one backend of ``encoding``, made when first asked for. Any thread.

        Raises BackendError where there is none.
        """
        maker = self._makers.get(encoding)
        if maker is None:
            raise BackendError(
                NnErrno.INVALID_ARGUMENT, f"the {encoding.name} backend is not built in; GGML is"
            )
        with self._lock:
            if encoding not in self._backends:
                self._backends[encoding] = maker()
            return self._backends[encoding]

    def statistics(self) -> dict[str, dict[str, object]]:
        """What the backends' engines have done; may be asked for while they work."""
        return {
            name: numbers
            for backend in tuple(self._backends.values())
            for name, numbers in backend.statistics().items()
        }

    def close(self) -> None:
        """Free the backends, after the last session's end."""
        with self._lock:
            for backend in self._backends.values():
                backend.close()
            self._backends.clear()


def _print(data: bytes) -> None:
    with suppress(OSError):  # nobody reads it any more
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _ggml(parallel: int | None, preloaded: Mapping[str, Path], rpc: Sequence[str]) -> Backend:
    from ..ggml import GgmlBackend

    return GgmlBackend(parallel=parallel, preloaded=preloaded, rpc=rpc)
