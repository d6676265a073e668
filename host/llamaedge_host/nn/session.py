"""The functions of ``wasi_ephemeral_nn`` for one guest, and the handles it holds.

Source: WasmEdge's plugins/wasi_nn (wasinnfunc.cpp, wasinnenv.h). Every parameter and result is
an i32; the result is an ErrNo. A pointer outside the guest's memory answers INVALID_ARGUMENT.
"""

import json
import logging
import struct
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from typing import IO, Concatenate, ParamSpec, Protocol

from ..errors import Interrupted
from ..files import Files
from ..imports import HostFunction
from ..memory import Memory
from .backend import BackendError, Context, Graph, Output
from .bounds import MAX_CONTEXTS, MAX_GRAPHS, MAX_METADATA, MAX_MODEL_BYTES
from .errno import ErrNo
from .handles import Handles, Loaded, Opened, reason
from .preload import Encoding, Target

_log = logging.getLogger("llamaedge_host.nn")

MODULE = "wasi_ephemeral_nn"
TENSOR_TYPES = frozenset({0, 1, 3, 4})
"""F16, F32, U8 and I32; F64 (2) and I64 (5) are refused, as WasmEdge refuses them."""
UNSIZED_BUFFER = 245_888
"""Bytes that a guest's buffer holds when it says 0: llama-core's vectors, which it sizes so
and whose size it does not pass."""

COUNTS = METADATA = 1
"""The index of the output that is the counts, and of the input that is metadata, both JSON."""

_BUILDER = struct.Struct("<II")  # pointer, length
_TENSOR = struct.Struct("<IIIII")  # dimensions: pointer, length; type; data: pointer, length

_P = ParamSpec("_P")


class Loader(Protocol):
    """Where a session's graphs come from. Both raise BackendError."""

    def load_by_name(self, name: str, config: str | None) -> Graph:
        """A new graph on the preload ``name``, with metadata JSON."""

    def load(self, path: Path, encoding: Encoding, target: Target, config: str | None) -> Graph:
        """A new graph on the model file at ``path``, with metadata JSON."""


def _answers(
    function: Callable[Concatenate["Session", _P], ErrNo],
) -> Callable[Concatenate["Session", _P], int]:
    @wraps(function)
    def call(self: "Session", /, *args: _P.args, **kwargs: _P.kwargs) -> int:
        try:
            return function(self, *args, **kwargs)
        except BackendError as error:
            backend = f"{error.backend} backend: " if error.backend else ""
            _log.error("[WASI-NN] %s%s: %s", backend, function.__name__, reason(error))
            return error.errno

    return call


class Session:
    """The wasi-nn functions of one guest: an ``imports.Provider``."""

    fault: int = ErrNo.INVALID_ARGUMENT

    def __init__(self, memory: Memory, loader: Loader, files: Files, stdout: Output) -> None:
        self._memory = memory
        self._files = files
        self._stdout = stdout
        self._loader = loader
        self._graphs: Handles[Loaded] = Handles()
        self._needed: list[Loaded] = []
        self._contexts: Handles[Opened] = Handles()
        self._by_name: dict[str, int] = {}
        self._running: Context | None = None
        self._interrupted = False

    def resolve(self, module: str, name: str, params: str, results: str) -> HostFunction | None:
        """The function of ``wasi_ephemeral_nn`` named ``name``, if its type is ``params``."""
        if module != MODULE or (params, results) != ("i" * FUNCTIONS.get(name, 0), "i"):
            return None
        function: HostFunction = getattr(self, name)
        return function

    def interrupt(self) -> None:
        """Make a blocked compute, and later ones, raise Interrupted. Any thread."""
        self._interrupted = True
        if (context := self._running) is not None:
            context.cancel()

    def close(self) -> None:
        """Close the guest's contexts, then its graphs."""
        for opened in self._contexts.drain():
            opened.close()
        for loaded in self._graphs.drain():
            loaded.close()
        self._by_name.clear()

    @_answers
    def load(self, builders: int, count: int, encoding: int, target: int, graph: int) -> ErrNo:
        """Load the model whose bytes are the first builder; the second is metadata.

        INVALID_ENCODING for an unknown encoding, INVALID_ARGUMENT for an unknown target, no
        builder, or a model that does not load, TOO_LARGE for too much metadata, RUNTIME_ERROR
        past the bounds of graphs and of their bytes, and where the host has no place for these.
        """
        memory = self._memory
        memory.view(graph, 4)
        if encoding not in Encoding.__members__.values():
            raise BackendError(ErrNo.INVALID_ENCODING, f"unknown encoding {encoding}")
        if target not in Target.__members__.values():
            raise BackendError(ErrNo.INVALID_ARGUMENT, f"unknown target {target}")
        table = memory.read(builders, _BUILDER.size * min(count, 2))
        parts = [memory.view(*pair) for pair in _BUILDER.iter_unpack(table)]
        if not parts:
            raise BackendError(ErrNo.INVALID_ARGUMENT, "no builder, so no model")
        config = _metadata(bytes(parts[1])) if len(parts) > 1 else None
        self._check_graphs(len(parts[0]))
        with ExitStack() as undo:
            file = undo.enter_context(_file_of(parts[0]))
            loaded = self._loader.load(
                Path(file.name), Encoding(encoding), Target(target), config or None
            )
            undo.pop_all()
        memory.set_u32(graph, self._hold(Loaded(loaded, file=file, size=len(parts[0]))))
        return ErrNo.SUCCESS

    def _hold(self, loaded: Loaded) -> int:
        self._needed.append(loaded)
        return self._graphs.add(loaded)

    def _check_graphs(self, size: int) -> None:
        """Raise BackendError if the guest may not load a graph more, of ``size`` bytes of its."""
        self._needed = [loaded for loaded in self._needed if loaded.needed]
        if len(self._needed) >= MAX_GRAPHS:
            raise _too_many(f"{MAX_GRAPHS} graphs")
        if size + sum(loaded.size for loaded in self._needed) > MAX_MODEL_BYTES:
            raise _too_many(f"models of {MAX_MODEL_BYTES} bytes together")

    @_answers
    def load_by_name(self, name: int, length: int, graph: int) -> ErrNo:
        """Load a preloaded model; the same graph again while it is loaded.

        NOT_FOUND for an unknown name, MODEL_NOT_FOUND for a file that does not exist,
        INVALID_ARGUMENT for one that does not load, RUNTIME_ERROR past the bound of graphs.
        """
        return self._load_by_name(name, length, None, graph)

    @_answers
    def load_by_name_with_config(
        self, name: int, length: int, config: int, config_length: int, graph: int
    ) -> ErrNo:
        """As load_by_name, with metadata; a name that is loaded ignores it.

        Also INVALID_ENCODING for metadata that is not JSON, and TOO_LARGE for too much of it.
        """
        text = _metadata(self._memory.view(config, config_length))
        return self._load_by_name(name, length, text or None, graph)

    def _load_by_name(self, name: int, length: int, config: str | None, graph: int) -> ErrNo:
        memory = self._memory
        memory.view(graph, 4)
        key = _text(memory.read(name, length), ErrNo.NOT_FOUND)
        handle = self._by_name.get(key)
        if handle is None:
            self._check_graphs(0)
            loaded = Loaded(self._loader.load_by_name(key, config), key)
            handle = self._by_name[key] = self._hold(loaded)
        memory.set_u32(graph, handle)
        return ErrNo.SUCCESS

    @_answers
    def init_execution_context(self, graph: int, context: int) -> ErrNo:
        """Make an execution context of ``graph``.

        INVALID_ARGUMENT for an unknown graph, RUNTIME_ERROR past the bound of contexts.
        """
        self._memory.view(context, 4)
        loaded = self._graphs.get(graph)
        if len(self._contexts) >= MAX_CONTEXTS:
            raise _too_many(f"{MAX_CONTEXTS} execution contexts")
        made = loaded.graph.context(self._files, self._stdout)
        loaded.contexts += 1
        self._memory.set_u32(context, self._contexts.add(Opened(made, loaded)))
        return ErrNo.SUCCESS

    @_answers
    def set_input(self, context: int, index: int, tensor: int) -> ErrNo:
        """Give ``context`` its prompt, or at index 1 metadata.

        INVALID_ARGUMENT for a bad handle, tensor type or metadata value, INVALID_ENCODING for
        metadata that is not JSON, TOO_LARGE for too much of it. The dimensions must lie in
        memory but mean nothing.
        """
        memory = self._memory
        dimensions, dimension_count, kind, data, length = memory.unpack(_TENSOR, tensor)
        memory.view(dimensions, 4 * dimension_count)
        content = memory.view(data, length)

        def give(to: Context) -> ErrNo:
            if index == METADATA and length > MAX_METADATA:
                raise _too_large(length)
            if kind not in TENSOR_TYPES:
                raise BackendError(ErrNo.INVALID_ARGUMENT, f"unknown tensor type {kind}")
            to.set_input(index, kind, bytes(content))
            return ErrNo.SUCCESS

        return self._using(context, give)

    @_answers
    def compute(self, context: int) -> ErrNo:
        """Run ``context`` to its end: SUCCESS, CONTEXT_FULL or PROMPT_TOO_LONG."""
        return self._using(context, lambda made: self._blocking(made, made.compute))

    @_answers
    def compute_single(self, context: int) -> ErrNo:
        """Make one token: SUCCESS, or the end state, which stays until the next prompt."""
        return self._using(context, lambda made: self._blocking(made, made.compute_single))

    @_answers
    def get_output(self, context: int, index: int, buffer: int, size: int, written: int) -> ErrNo:
        """Copy out what was made so far (index 1: the counts as JSON).

        After a set_input, compute or compute_single that failed, the counts have a key of ours
        more: ``error``, the reason in words.
        TOO_LARGE, with the size needed in ``written``, for a buffer too short.
        """
        opened = self._contexts.get(context)
        return self._give(opened, index, opened.context.output(index), buffer, size, written)

    @_answers
    def get_output_single(
        self, context: int, index: int, buffer: int, size: int, written: int
    ) -> ErrNo:
        """Copy out the last token's piece; else as get_output."""
        opened = self._contexts.get(context)
        return self._give(opened, index, opened.context.output_single(index), buffer, size, written)

    @_answers
    def fini_single(self, context: int) -> ErrNo:
        """End the computation that compute_single began."""
        self._contexts.get(context).context.fini_single()
        return ErrNo.SUCCESS

    @_answers
    def finalize_execution_context(self, context: int) -> ErrNo:
        """Forget ``context``; INVALID_ARGUMENT for an unknown one."""
        self._contexts.pop(context).close()
        return ErrNo.SUCCESS

    @_answers
    def unload(self, graph: int) -> ErrNo:
        """Forget ``graph``: its name can be loaded again, its contexts only be read."""
        loaded = self._graphs.pop(graph)
        if loaded.name is not None:
            del self._by_name[loaded.name]
        loaded.unloaded = True
        loaded.settle()
        return ErrNo.SUCCESS

    def _using(self, handle: int, call: Callable[[Context], ErrNo]) -> ErrNo:
        """What ``call`` of the context ``handle`` answers; a failure is kept for the guest."""
        opened = self._contexts.get(handle)
        try:
            if opened.loaded.unloaded:
                raise BackendError(
                    ErrNo.INVALID_ARGUMENT, f"the graph of context {handle} has been unloaded"
                )
            errno = call(opened.context)
        except BackendError as error:
            opened.failed(error)
            raise
        opened.answered(errno)
        return errno

    def _blocking(self, context: Context, method: Callable[[], ErrNo]) -> ErrNo:
        self._running = context
        try:
            if self._interrupted:
                raise Interrupted("the guest is being stopped")
            return method()
        finally:
            self._running = None

    def _give(
        self, opened: Opened, index: int, data: bytes, buffer: int, size: int, written: int
    ) -> ErrNo:
        if index == COUNTS and opened.error:
            data = json.dumps({**json.loads(data), "error": opened.error}).encode()
        memory = self._memory
        memory.view(buffer, size)
        memory.set_u32(written, len(data))
        if len(data) > (size or UNSIZED_BUFFER):
            raise BackendError(
                ErrNo.TOO_LARGE, f"output buffer too small, need {len(data)} bytes but got {size}"
            )
        memory.write(buffer, data)
        return ErrNo.SUCCESS


def _file_of(model: memoryview) -> IO[bytes]:
    """A file that holds ``model`` until it is closed. Raises BackendError (RUNTIME_ERROR)."""
    with ExitStack() as undo:
        try:
            file = undo.enter_context(
                tempfile.NamedTemporaryFile(prefix="llamaedge-", suffix=".gguf")
            )
            file.write(model)
            file.flush()
        except OSError as error:
            raise BackendError(
                ErrNo.RUNTIME_ERROR,
                f"the model's {len(model)} bytes cannot be kept in {tempfile.gettempdir()}:"
                f" {error.strerror}",
            ) from None
        undo.pop_all()
    return file


def _metadata(data: bytes | memoryview) -> str:
    if len(data) > MAX_METADATA:
        raise _too_large(len(data))
    return _text(bytes(data), ErrNo.INVALID_ENCODING)


def _too_large(size: int) -> BackendError:
    return BackendError(
        ErrNo.TOO_LARGE, f"the metadata has {size} bytes; {MAX_METADATA} are the most"
    )


def _too_many(what: str) -> BackendError:
    return BackendError(
        ErrNo.RUNTIME_ERROR, f"the guest holds {what}, the most that one may; it must free some"
    )


def _text(data: bytes, errno: ErrNo) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BackendError(errno, f"a name or metadata is not UTF-8: {error}") from None


FUNCTIONS = {
    "load": 5,
    "load_by_name": 3,
    "load_by_name_with_config": 5,
    "init_execution_context": 2,
    "set_input": 3,
    "get_output": 5,
    "get_output_single": 5,
    "compute": 1,
    "compute_single": 1,
    "fini_single": 1,
    "finalize_execution_context": 1,
    "unload": 1,
}
"""How many i32 parameters each function takes; each has one i32 result."""
