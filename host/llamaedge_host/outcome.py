"""What a call into wasm that did not return means: this library's exceptions."""

import logging

from wasmtime import ExitTrap, Frame, Trap, TrapCode, WasmtimeError

from .errors import GuestExit, GuestStopped, GuestTrap, Interrupted, LinkError

_log = logging.getLogger(__name__)


def outcome(
    error: Trap | WasmtimeError, failure: BaseException | None, stop_reason: str | None
) -> BaseException:
    """The exception to raise for ``error``, which ended a call into wasm.

    ``failure`` is what a host function raised, if one did; ``stop_reason`` says that the guest
    is being stopped, and why.
    """
    if isinstance(failure, Trap):  # in wasmtime's own function, called by the forwarder
        error, failure = failure, None
    if isinstance(failure, (GuestExit, LinkError)):
        return failure
    if failure is not None and not isinstance(failure, Exception):
        return failure  # KeyboardInterrupt and its like end more than the guest
    if isinstance(error, ExitTrap):
        return GuestExit(error.code)
    code = error.trap_code if isinstance(error, Trap) else None
    if code is TrapCode.OUT_OF_FUEL:
        return GuestStopped("gas limit")
    if stop_reason and (isinstance(failure, Interrupted) or code is TrapCode.INTERRUPT):
        return GuestStopped(stop_reason)
    frames = tuple(_frame_line(each) for each in error.frames) if isinstance(error, Trap) else ()
    if failure is not None:
        _log.debug("a host function failed", exc_info=failure)
        return GuestTrap(f"a host function failed: {failure!r}", code="host", frames=frames)
    name = code.name.lower().replace("_", " ") if code else "error"
    return GuestTrap(_reason(str(error)), code=name, frames=frames)


def _frame_line(frame: Frame) -> str:
    name = frame.func_name or f"function {frame.func_index}"
    return f"{name} at {frame.module_offset:#x}"


def _reason(message: str) -> str:
    """The innermost cause, which wasmtime puts last."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1].removeprefix("wasm trap: ") if lines else "unknown trap"
