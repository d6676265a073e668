"""The program: a front process that serves HTTP, and a worker process that runs the guests."""

from importlib.metadata import version

__version__ = version("llamaedge-host")
