"""What provides a guest's imports: the one seam between linking and host functions."""

from collections.abc import Callable
from typing import Protocol

HostFunction = Callable[..., int | None]
"""Takes one int per parameter (i32 and i64 unsigned), returns one for its result.

It may raise BadPointer, which the guest sees as its provider's ``fault``, and Interrupted,
which unwinds a guest that is being stopped. Any other exception is a bug of the host and
ends the guest as a trap.
"""

Imports = dict[tuple[str, str], HostFunction]
"""Host functions by import name and parameter letters."""

WasmtimeCall = Callable[[str, tuple[int, ...]], int]
"""Calls wasmtime's WASI function of that name in the guest's memory; its errno."""


class Provider(Protocol):
    """A set of host functions for one guest."""

    fault: int
    """What a call answers when a pointer it was given is not in the guest's memory."""

    def resolve(self, module: str, name: str, params: str, results: str) -> HostFunction | None:
        """The function for an import of this type, or None where there is none.

        ``params`` and ``results`` have a letter a value: i for i32, I for i64, f and F for
        f32 and f64.
        """

    def interrupt(self) -> None:
        """Wake a blocked call and make this and later blocking calls raise Interrupted.

        May be called from any thread, at any time, more than once.
        """

    def close(self) -> None:
        """Free everything the guest held. Called once, when the guest has ended."""
