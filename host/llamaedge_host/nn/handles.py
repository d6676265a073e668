"""What a guest holds by numbers: its graphs and its execution contexts."""

from dataclasses import dataclass
from typing import IO, Generic, TypeVar

from .backend import BackendError, Context, Graph
from .bounds import MAX_REASON
from .errno import NnErrno

FINE = (NnErrno.SUCCESS, NnErrno.BUSY, NnErrno.END_OF_SEQUENCE)
STAYING = {
    NnErrno.CONTEXT_FULL: "the context is full: a larger ctx-size holds more tokens",
    NnErrno.PROMPT_TOO_LONG: "the prompt is too long for the context",
}
"""Ends that are answered again and again, and the reason where none was given."""

_T = TypeVar("_T")


class Handles(Generic[_T]):
    """Numbers a guest holds for things of ours: from 0 up, never given twice."""

    def __init__(self) -> None:
        self._things: dict[int, _T] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._things)

    def add(self, thing: _T) -> int:
        """The number of ``thing`` from now on."""
        handle = self._next
        self._next += 1
        self._things[handle] = thing
        return handle

    def get(self, handle: int) -> _T:
        """The thing of ``handle``. Raises BackendError (INVALID_ARGUMENT) for an unknown one."""
        try:
            return self._things[handle]
        except KeyError:
            raise BackendError(
                NnErrno.INVALID_ARGUMENT, f"the guest used handle {handle}, which it does not hold"
            ) from None

    def pop(self, handle: int) -> _T:
        """Forget ``handle``. Raises BackendError (INVALID_ARGUMENT) for an unknown one."""
        thing = self.get(handle)
        del self._things[handle]
        return thing

    def drain(self) -> list[_T]:
        """Forget all; what they were."""
        things = list(self._things.values())
        self._things.clear()
        return things


@dataclass(eq=False)
class Loaded:
    """A graph, the name it was loaded by, and how many contexts still need it.

    ``file`` holds the model if the guest gave its ``size`` bytes; the graph may load it again.
    """

    graph: Graph
    name: str | None = None
    file: IO[bytes] | None = None
    size: int = 0
    unloaded: bool = False
    contexts: int = 0

    @property
    def needed(self) -> bool:
        """Whether the guest still holds the graph or a context of it."""
        return not self.unloaded or self.contexts > 0

    def settle(self) -> None:
        """Close the graph if nothing needs it any more."""
        if not self.needed:
            self.close()

    def close(self) -> None:
        """Close the graph and remove its file."""
        self.graph.close()
        if self.file is not None:
            self.file.close()


@dataclass(eq=False)
class Opened:
    """A context, its graph, and why its last call failed, "" if it did not."""

    context: Context
    loaded: Loaded
    error: str = ""

    def failed(self, error: BackendError) -> None:
        """Keep the reason for the guest."""
        self.error = reason(error)

    def answered(self, errno: NnErrno) -> None:
        """Forget the reason of an earlier failure, or keep that of an end that stays."""
        told = self.error or STAYING.get(errno, "the computation failed")
        self.error = "" if errno in FINE else told

    def close(self) -> None:
        """Close the context, and the graph if it was the last one of an unloaded one."""
        self.context.close()
        self.loaded.contexts -= 1
        self.loaded.settle()


def reason(error: BackendError) -> str:
    """The message of ``error`` on one line, whatever names and paths it quotes."""
    return " ".join(str(error).split())[:MAX_REASON]
