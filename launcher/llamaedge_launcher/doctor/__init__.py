"""What this machine and this installation are fit for, and what mends what is not."""

from collections.abc import Iterator

from . import computing, network, places, programs
from .finding import Finding, State

__all__ = ["Finding", "State", "examine"]


def examine() -> Iterator[Finding]:
    """Look at everything; each finding comes when it is known. Changes nothing."""
    yield from programs.findings()
    yield from computing.findings()
    yield from places.findings()
    yield from network.findings()
