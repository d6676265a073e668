"""The program: a front process that serves HTTP, and a worker process that runs the guests.

``Server`` starts and stops it from Python.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .server import Server

    __version__: str

__all__ = ["Server", "__version__"]


def __getattr__(name: str) -> Any:
    """What is asked for is imported then: a worker does without either."""
    if name == "Server":
        from .server import Server

        return Server
    if name == "__version__":
        from importlib.metadata import version

        return version("llamaedge-host")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
