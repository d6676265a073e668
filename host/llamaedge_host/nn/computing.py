"""Execution contexts: their inputs, computations and outputs.

Source: WasmEdge's plugins/wasi_nn (wasinnfunc.cpp, wasinnenv.h).
"""

import json
import struct
from collections.abc import Callable

from ..errors import Interrupted
from ..files import Files
from ..memory import Memory
from .backend import BackendError, Context, Output
from .bounds import MAX_CONTEXTS, MAX_METADATA
from .edge import answers, too_much_metadata
from .errno import NnErrno
from .graphs import Graphs, too_many
from .handles import Handles, Opened

TENSOR_TYPES = frozenset({0, 1, 3, 4})
"""F16, F32, U8 and I32; F64 (2) and I64 (5) are refused, as WasmEdge refuses them."""
UNSIZED_BUFFER = 245_888
"""Bytes that a guest's buffer holds when it says 0: llama-core's vectors, which it sizes so
and whose size it does not pass."""
COUNTS = METADATA = 1
"""The index of the output that is the counts, and of the input that is metadata, both JSON."""

_TENSOR = struct.Struct("<IIIII")  # dimensions: pointer, length; type; data: pointer, length


class Computing:
    """The functions on a guest's execution contexts.

    What they name of the guest are ``files``; what they print goes to ``stdout``.
    """

    def __init__(self, memory: Memory, graphs: Graphs, files: Files, stdout: Output) -> None:
        self._memory = memory
        self._graphs = graphs
        self._files = files
        self._stdout = stdout
        self._contexts: Handles[Opened] = Handles()
        self._running: Context | None = None
        self._interrupted = False

    def interrupt(self) -> None:
        """Make a blocked compute, and later ones, raise Interrupted. Any thread."""
        self._interrupted = True
        if (context := self._running) is not None:
            context.cancel()

    def close(self) -> None:
        """Close the contexts."""
        for opened in self._contexts.drain():
            opened.close()

    @answers
    def init_execution_context(self, graph: int, context: int) -> NnErrno:
        """``init_execution_context``: an execution context of a graph.

        Parameters:
            graph: its handle.
            context: where the context's handle is written, u32.

        Result:
            INVALID_ARGUMENT: an unknown graph.
            RUNTIME_ERROR: more contexts than may be.

        See WasmEdge's WasiNNInitExecCtx.
        """
        self._memory.view(context, 4)
        loaded = self._graphs.get(graph)
        if len(self._contexts) >= MAX_CONTEXTS:
            raise too_many(f"{MAX_CONTEXTS} execution contexts")
        made = loaded.graph.context(self._files, self._stdout)
        loaded.contexts += 1
        self._memory.set_u32(context, self._contexts.add(Opened(made, loaded)))
        return NnErrno.SUCCESS

    @answers
    def set_input(self, context: int, index: int, tensor: int) -> NnErrno:
        """``set_input``: a context's prompt, or its metadata.

        Parameters:
            context: its handle.
            index: 1 for metadata as JSON, any other for the prompt.
            tensor: {dimensions: pointer, count; type; data: pointer, length}, u32 each. The
                dimensions must lie in memory but mean nothing.

        Result:
            INVALID_ARGUMENT: an unknown context or type, a value of the metadata or a prompt
                that cannot be used, or the graph is unloaded.
            INVALID_ENCODING: metadata that is not JSON.
            TOO_LARGE: more metadata than may be.
            PROMPT_TOO_LONG: more text than a context could hold.

        See WasmEdge's WasiNNSetInput and docs/metadata.md.
        """
        memory = self._memory
        dimensions, dimension_count, kind, data, length = memory.unpack(_TENSOR, tensor)
        memory.view(dimensions, 4 * dimension_count)
        content = memory.view(data, length)

        def give(to: Context) -> NnErrno:
            if index == METADATA and length > MAX_METADATA:
                raise too_much_metadata(length)
            if kind not in TENSOR_TYPES:
                raise BackendError(NnErrno.INVALID_ARGUMENT, f"unknown tensor type {kind}")
            to.set_input(index, kind, bytes(content))
            return NnErrno.SUCCESS

        return self._using(context, give)

    @answers
    def compute(self, context: int) -> NnErrno:
        """``compute``: run a context to its end; blocks.

        Parameters:
            context: its handle.

        Result:
            INVALID_ARGUMENT: an unknown context, no prompt, or the graph is unloaded.
            CONTEXT_FULL: the context is full; what was made can be read.
            PROMPT_TOO_LONG: the prompt leaves no place for an answer.
            RUNTIME_ERROR: the computation failed.

        See WasmEdge's WasiNNCompute.
        """
        return self._using(context, lambda made: self._blocking(made, made.compute))

    @answers
    def compute_single(self, context: int) -> NnErrno:
        """``compute_single``: make one token; blocks.

        Parameters:
            context: its handle.

        Result:
            BUSY: there is none yet, after the metadata's ``single-wait``; ask again.
            END_OF_SEQUENCE: the text has ended; this one and the next two stay until there is
                a new prompt.
            CONTEXT_FULL: the context is full.
            PROMPT_TOO_LONG: the prompt leaves no place for an answer.
            INVALID_ARGUMENT: an unknown context, no prompt, or the graph is unloaded.
            UNSUPPORTED_OPERATION: the graph computes embeddings.
            RUNTIME_ERROR: the computation failed.

        See WasmEdge's WasiNNComputeSingle.
        """
        return self._using(context, lambda made: self._blocking(made, made.compute_single))

    @answers
    def get_output(self, context: int, index: int, buffer: int, size: int, written: int) -> NnErrno:
        """``get_output``: copy out what was made so far.

        Parameters:
            context: its handle.
            index: 1 for the counts as JSON, 2 for the prompt that a chat template wrote, 4 for
                what a guest may ask for beyond WasmEdge and 5 for the prompt's tokens, both as
                JSON, 6 with the metadata's ``tts`` for what single steps made as a WAV file, any
                other for the output.
            buffer: where to.
            size: its bytes; 0 means UNSIZED_BUFFER.
            written: where its length is written, u32, even if it is too large.

        Result:
            INVALID_ARGUMENT: an unknown context.
            TOO_LARGE: it is longer than the buffer.
            RUNTIME_ERROR: the speech cannot be made.

        After a set_input, compute, compute_single or get_output that failed, the counts have a
        key of ours more: ``error``, the reason in words. See WasmEdge's WasiNNGetOutput.
        """
        opened = self._contexts.get(context)
        try:
            data = opened.context.output(index)
        except BackendError as error:
            opened.failed(error)
            raise
        return self._give(opened, index, data, buffer, size, written)

    @answers
    def get_output_single(
        self, context: int, index: int, buffer: int, size: int, written: int
    ) -> NnErrno:
        """``get_output_single``: copy out the last token's piece.

        Parameters:
            context: its handle.
            index: 1 for the counts as JSON, 3 with the metadata's ``n-probs`` for what the token
                was chosen among as JSON, any other for the piece.
            buffer: where to.
            size: its bytes; 0 means UNSIZED_BUFFER.
            written: where its length is written, u32, even if it is too large.

        Result:
            INVALID_ARGUMENT: an unknown context.
            TOO_LARGE: it is longer than the buffer.

        See WasmEdge's WasiNNGetOutputSingle.
        """
        opened = self._contexts.get(context)
        return self._give(opened, index, opened.context.output_single(index), buffer, size, written)

    @answers
    def fini_single(self, context: int) -> NnErrno:
        """``fini_single``: end the computation that compute_single began.

        Parameters:
            context: its handle.

        Result:
            INVALID_ARGUMENT: an unknown context.

        See WasmEdge's WasiNNFiniSingle.
        """
        self._contexts.get(context).context.fini_single()
        return NnErrno.SUCCESS

    @answers
    def finalize_execution_context(self, context: int) -> NnErrno:
        """``finalize_execution_context``: forget a context.

        Parameters:
            context: its handle.

        Result:
            INVALID_ARGUMENT: an unknown context.

        See WasmEdge's WasiNNFinalizeExecCtx.
        """
        self._contexts.pop(context).close()
        return NnErrno.SUCCESS

    def _using(self, handle: int, call: Callable[[Context], NnErrno]) -> NnErrno:
        """What ``call`` of the context ``handle`` answers; a failure is kept for the guest."""
        opened = self._contexts.get(handle)
        try:
            if opened.loaded.unloaded:
                raise BackendError(
                    NnErrno.INVALID_ARGUMENT, f"the graph of context {handle} has been unloaded"
                )
            errno = call(opened.context)
        except BackendError as error:
            opened.failed(error)
            raise
        opened.answered(errno)
        return errno

    def _blocking(self, context: Context, method: Callable[[], NnErrno]) -> NnErrno:
        self._running = context
        try:
            if self._interrupted:
                raise Interrupted("the guest is being stopped")
            return method()
        finally:
            self._running = None

    def _give(
        self, opened: Opened, index: int, data: bytes, buffer: int, size: int, written: int
    ) -> NnErrno:
        if index == COUNTS and opened.error:
            data = json.dumps({**json.loads(data), "error": opened.error}).encode()
        memory = self._memory
        memory.view(buffer, size)
        memory.set_u32(written, len(data))
        if len(data) > (size or UNSIZED_BUFFER):
            raise BackendError(
                NnErrno.TOO_LARGE, f"output buffer too small, need {len(data)} bytes but got {size}"
            )
        memory.write(buffer, data)
        return NnErrno.SUCCESS
