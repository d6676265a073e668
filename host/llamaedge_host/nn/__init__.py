"""wasi-nn as WasmEdge's plugin speaks it: preloads, graphs and execution contexts."""

from .errno import NnErrno
from .neural_network import NeuralNetwork
from .preload import Encoding, Preload, Target
from .session import Session

__all__ = ["Encoding", "NeuralNetwork", "NnErrno", "Preload", "Session", "Target"]
