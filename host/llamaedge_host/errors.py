"""The exceptions of this library.

Each message is one line for a person: what was asked, what was found, what to do.
"""


class HostError(Exception):
    """Base of every error this library raises on purpose."""


class ModuleError(HostError):
    """A file is not a WebAssembly module, or does not compile or validate."""


class LinkError(HostError):
    """A guest imports something that nothing provides, or of another type."""


class PreloadError(HostError):
    """A ``--nn-preload`` value is malformed or names something unknown."""


class GuestTrap(HostError):
    """The guest trapped.

    ``code`` is wasmtime's name of the trap ("unreachable", ...) and ``frames`` the wasm
    stack, innermost first, one readable line each.
    """

    def __init__(self, message: str, *, code: str = "", frames: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.frames = frames


class GuestExit(HostError):
    """The guest ended itself with ``code``, as it gave it (unsigned 32 bits)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the guest exited with code {code}")
        self.code = code


class GuestStopped(HostError):
    """The guest was ended by the host; ``reason`` says why ("stop", "time limit", ...)."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the guest was stopped: {reason}")
        self.reason = reason


class Interrupted(HostError):
    """Raised inside a blocking host call to unwind a guest that is being stopped."""


class BadPointer(HostError):
    """A guest passed a range that is not inside its memory."""
