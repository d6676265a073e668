"""The most tokens of an answer, kept by the host where a guest does not keep it.

LlamaEdge's own servers take a limit and compute on. So the front puts it into a header of the
request, the host reads it as the guest does, and the next prompt of that guest has it. Such a
guest answers one request at a time.
"""

import json
import re
import threading
from typing import Any

from llamaedge_host.files import Files
from llamaedge_host.nn.backend import Context, Graph, Output

HEADER = b"x-llamaedge-limit"
"""The front's header; its value is a number of tokens."""

_FOUND = re.compile(rb"\r\n" + HEADER + rb": *([0-9]{1,10})\r\n", re.IGNORECASE)
_KEY = "n-predict"
_UNLIMITED = -1
_METADATA = 1  # the index of the input that is metadata


class Limits:
    """The limit of the request that the guest of each thread answers."""

    def __init__(self) -> None:
        self._mine = threading.local()

    def take(self, request: bytes) -> None:
        """Take the limit of a request, from its first bytes. In the guest's thread."""
        head, _, _ = request.partition(b"\r\n\r\n")
        found = _FOUND.search(head + b"\r\n")
        self._mine.limit = int(found[1]) if found else None

    def get(self) -> int | None:
        """What the request of this thread's guest has, None for no limit."""
        limit: int | None = getattr(self._mine, "limit", None)
        return limit


class LimitedGraph:
    """``graph``, whose contexts keep to ``limits``; ``config`` is what it was loaded with."""

    def __init__(self, graph: Graph, limits: Limits, config: str | None) -> None:
        self._graph = graph
        self._limits = limits
        most = _most(config.encode()) if config else None
        self._most = _UNLIMITED if most is None else most

    def context(self, files: Files, stdout: Output) -> Context:
        """As ``backend.Graph``'s."""
        return _LimitedContext(self._graph.context(files, stdout), self._limits, self._most)

    def close(self) -> None:
        """As ``backend.Graph``'s."""
        self._graph.close()


class _LimitedContext:
    """A context that is told the limit before each prompt. Nothing else costs anything."""

    def __init__(self, context: Context, limits: Limits, most: int) -> None:
        self._context = context
        self._limits = limits
        self._most = most
        self._told = most
        self.compute = context.compute
        self.compute_single = context.compute_single
        self.output = context.output
        self.output_single = context.output_single
        self.fini_single = context.fini_single
        self.cancel = context.cancel
        self.close = context.close

    def set_input(self, index: int, tensor_type: int, data: bytes) -> None:
        """As ``backend.Context``'s."""
        if index == _METADATA:
            self._context.set_input(index, tensor_type, data)
            most = _most(data)
            if most is not None:
                self._most = self._told = most
            return
        limit = self._limits.get()
        wanted = self._most if limit is None else limit
        if limit is not None and self._most >= 0:
            wanted = min(limit, self._most)
        if wanted != self._told:
            self._context.set_input(_METADATA, tensor_type, json.dumps({_KEY: wanted}).encode())
            self._told = wanted
        self._context.set_input(index, tensor_type, data)


def _most(metadata: bytes) -> int | None:
    """The limit that ``metadata`` sets, if it does."""
    try:
        fields: Any = json.loads(metadata) if _KEY.encode() in metadata else {}
    except ValueError:
        return None
    value = fields.get(_KEY) if isinstance(fields, dict) else None
    return value if isinstance(value, int) else None
