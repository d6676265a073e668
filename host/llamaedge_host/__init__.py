"""Run WasmEdge guests from Python: WASI by wasmtime, WasmEdge's sockets and wasi-nn by us.

Each name is imported when it is asked for: a program that reads a preload needs no wasmtime.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if sys.platform == "win32":
    raise ImportError(
        "llamaedge_host needs Linux (or macOS, which is not tested): Windows has no poll(2) for "
        "the guests' sockets; the Windows Subsystem for Linux is Linux"
    )

from .bundled import offer

if TYPE_CHECKING:
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

    __version__: str

offer()

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
_PLACES = {
    "errors": ("GuestExit GuestStopped GuestTrap HostError LinkError ModuleError PreloadError"),
    "guest": "Activity Guest Limits",
    "imports": "HostFunction Provider",
    "modules": "EngineSettings",
    "nn": "NeuralNetwork",
    "nn.preload": "Encoding Preload Target",
    "nn.backend": "Backend",
    "preopen": "Preopen",
    "sockets": "HostNetwork Network PrivateNetwork",
    "values": "Reference Value",
}
"""The modules of the names above."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("llamaedge-host")
    for module, names in _PLACES.items():
        if name in names.split():
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
