"""The program: a front process that serves HTTP, and a worker process that runs the guests.

``Server`` starts and stops it from Python.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .server import Server

__all__ = ["Server", "__version__"]
__version__ = version("llamaedge-host")


def __getattr__(name: str) -> Any:
    """``Server`` is imported when it is asked for: the program itself does without."""
    if name != "Server":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .server import Server

    return Server
