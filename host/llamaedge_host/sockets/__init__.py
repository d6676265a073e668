"""WasmEdge's socket extension of WASI preview 1."""

from .network import HostNetwork, Network
from .private import PrivateNetwork

__all__ = ["HostNetwork", "Network", "PrivateNetwork"]
