"""Run WasmEdge guests from Python: WASI by wasmtime, WasmEdge's sockets and wasi-nn by us."""

import sys
from importlib.metadata import version

if sys.platform == "win32":
    raise ImportError(
        "llamaedge_host needs Linux (or macOS, which is not tested): Windows has no poll(2) for "
        "the guests' sockets; the Windows Subsystem for Linux is Linux"
    )

from .bundled import offer
from .errors import (
    GuestExit,
    GuestStopped,
    GuestTrap,
    HostError,
    LinkError,
    ModuleError,
    PreloadError,
)
from .guest import Activity, Guest, Limits
from .imports import HostFunction, Provider
from .modules import EngineSettings
from .nn import Encoding, NeuralNetwork, Preload, Target
from .nn.backend import Backend
from .preopen import Preopen
from .sockets import HostNetwork, Network, PrivateNetwork
from .values import Reference, Value

offer()
__version__ = version("llamaedge-host")

__all__ = [
    "Activity",
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
