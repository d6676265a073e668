"""Run WasmEdge guests from Python: WASI by wasmtime, WasmEdge's sockets and wasi-nn by us."""

from .errors import (
    GuestExit,
    GuestStopped,
    GuestTrap,
    HostError,
    LinkError,
    ModuleError,
    PreloadError,
)
from .guest import Guest, Limits
from .nn import NeuralNetwork, Preload
from .preopen import Preopen
from .sockets import HostNetwork, PrivateNetwork

__all__ = [
    "Guest",
    "GuestExit",
    "GuestStopped",
    "GuestTrap",
    "HostError",
    "HostNetwork",
    "Limits",
    "LinkError",
    "ModuleError",
    "NeuralNetwork",
    "Preload",
    "PreloadError",
    "Preopen",
    "PrivateNetwork",
]
