"""Run WasmEdge guests from Python: WASI by wasmtime, WasmEdge's sockets and wasi-nn by us."""

from importlib.metadata import version

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
from .imports import HostFunction, Provider
from .modules import EngineSettings
from .nn import Encoding, NeuralNetwork, Preload, Target
from .nn.backend import Backend
from .preopen import Preopen
from .sockets import HostNetwork, Network, PrivateNetwork
from .values import Reference, Value

__version__ = version("llamaedge-host")

__all__ = [
    "Backend",
    "Encoding",
    "EngineSettings",
    "Guest",
    "GuestExit",
    "GuestStopped",
    "GuestTrap",
    "HostError",
    "HostFunction",
    "HostNetwork",
    "Limits",
    "LinkError",
    "ModuleError",
    "Network",
    "NeuralNetwork",
    "Preload",
    "PreloadError",
    "Preopen",
    "PrivateNetwork",
    "Provider",
    "Reference",
    "Target",
    "Value",
]
