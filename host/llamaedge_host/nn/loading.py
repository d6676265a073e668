"""Graphs: load, load_by_name, load_by_name_with_config and unload.

Source: WasmEdge's plugins/wasi_nn (wasinnfunc.cpp, wasinnenv.h).
"""

import struct

from ..memory import Memory
from .backend import BackendError
from .edge import answers, decoded, metadata
from .errno import NnErrno
from .graphs import Graphs
from .preload import Encoding, Target

_BUILDER = struct.Struct("<II")  # pointer, length


class Loading:
    """The functions that give a guest graphs and take them back."""

    def __init__(self, memory: Memory, graphs: Graphs) -> None:
        self._memory = memory
        self._graphs = graphs

    @answers
    def load(self, builders: int, count: int, encoding: int, target: int, graph: int) -> NnErrno:
        """``load``: a graph on a model in the guest's memory.

        Parameters:
            builders: {pointer, length}, u32 each: of the model's bytes, then of metadata (JSON).
            count: how many there are; those after the second mean nothing.
            encoding: an ``Encoding``.
            target: a ``Target``.
            graph: where its handle is written, u32.

        Result:
            INVALID_ENCODING: an unknown encoding, or metadata that is not JSON.
            INVALID_ARGUMENT: an unknown target, no builder, or a model that does not load.
            TOO_LARGE: more metadata than may be.
            RUNTIME_ERROR: more graphs or bytes than may be, or the host has no place for these.

        See WasmEdge's WasiNNLoad.
        """
        memory = self._memory
        memory.view(graph, 4)
        if encoding not in Encoding.__members__.values():
            raise BackendError(NnErrno.INVALID_ENCODING, f"unknown encoding {encoding}")
        if target not in Target.__members__.values():
            raise BackendError(NnErrno.INVALID_ARGUMENT, f"unknown target {target}")
        table = memory.read(builders, _BUILDER.size * min(count, 2))
        parts = [memory.view(*pair) for pair in _BUILDER.iter_unpack(table)]
        if not parts:
            raise BackendError(NnErrno.INVALID_ARGUMENT, "no builder, so no model")
        config = metadata(parts[1]) if len(parts) > 1 else None
        made = self._graphs.load(parts[0], Encoding(encoding), Target(target), config or None)
        memory.set_u32(graph, made)
        return NnErrno.SUCCESS

    @answers
    def load_by_name(self, name: int, length: int, graph: int) -> NnErrno:
        """``load_by_name``: a graph on a preloaded model; while it is loaded, the same again.

        Parameters:
            name: the preload's name.
            length: its bytes.
            graph: where its handle is written, u32.

        Result:
            NOT_FOUND: no model is preloaded by that name.
            MODEL_NOT_FOUND: its file does not exist.
            INVALID_ARGUMENT: it does not load.
            RUNTIME_ERROR: more graphs than may be.

        See WasmEdge's WasiNNLoadByName.
        """
        return self._load_by_name(name, length, None, graph)

    @answers
    def load_by_name_with_config(
        self, name: int, length: int, config: int, config_length: int, graph: int
    ) -> NnErrno:
        """``load_by_name_with_config``: as load_by_name, with metadata.

        Parameters:
            name: the preload's name.
            length: its bytes.
            config: metadata as JSON, which a graph that is loaded already does not read.
            config_length: its bytes.
            graph: where its handle is written, u32.

        Result:
            NOT_FOUND: no model is preloaded by that name.
            MODEL_NOT_FOUND: its file does not exist.
            INVALID_ENCODING: metadata that is not JSON.
            INVALID_ARGUMENT: a value of the metadata cannot be used, or it does not load.
            TOO_LARGE: more metadata than may be.
            RUNTIME_ERROR: more graphs than may be.

        See WasmEdge's WasiNNLoadByNameWithConfig and docs/metadata.md.
        """
        text = metadata(self._memory.view(config, config_length))
        return self._load_by_name(name, length, text or None, graph)

    def _load_by_name(self, name: int, length: int, config: str | None, graph: int) -> NnErrno:
        memory = self._memory
        memory.view(graph, 4)
        key = decoded(memory.read(name, length), NnErrno.NOT_FOUND)
        memory.set_u32(graph, self._graphs.load_by_name(key, config))
        return NnErrno.SUCCESS

    @answers
    def unload(self, graph: int) -> NnErrno:
        """``unload``: forget a graph.

        Parameters:
            graph: its handle.

        Result:
            INVALID_ARGUMENT: an unknown graph.

        Its name can be loaded again, its contexts can only be read. See WasmEdge's WasiNNUnload.
        """
        self._graphs.unload(graph)
        return NnErrno.SUCCESS
