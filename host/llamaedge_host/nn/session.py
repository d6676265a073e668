"""``wasi_ephemeral_nn`` for one guest: its functions, and the graphs and contexts it holds."""

from ..files import Files
from ..imports import HostFunction
from ..memory import Memory
from .backend import Output
from .computing import Computing
from .errno import NnErrno
from .graphs import Graphs, Loader
from .loading import Loading

MODULE = "wasi_ephemeral_nn"


class Session:
    """The wasi-nn functions of one guest: an ``imports.Provider``.

    Every parameter and result is an i32; the result is an NnErrno. A pointer outside the guest's
    memory answers INVALID_ARGUMENT.
    """

    fault: int = NnErrno.INVALID_ARGUMENT

    def __init__(self, memory: Memory, loader: Loader, files: Files, stdout: Output) -> None:
        self._graphs = Graphs(loader)
        self._loading = Loading(memory, self._graphs)
        self._computing = Computing(memory, self._graphs, files, stdout)

    def resolve(self, module: str, name: str, params: str, results: str) -> HostFunction | None:
        """The function of ``wasi_ephemeral_nn`` named ``name``, if its type is ``params``."""
        if module != MODULE or (params, results) != ("i" * FUNCTIONS.get(name, 0), "i"):
            return None
        topic = self._loading if hasattr(self._loading, name) else self._computing
        function: HostFunction = getattr(topic, name)
        return function

    def interrupt(self) -> None:
        """Make a blocked compute, and later ones, raise Interrupted. Any thread."""
        self._computing.interrupt()

    def close(self) -> None:
        """Close the guest's contexts, then its graphs."""
        self._computing.close()
        self._graphs.close()


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
