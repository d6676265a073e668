"""wasi-nn as WasmEdge's plugin speaks it: preloads, graphs and execution contexts."""

from .errno import ErrNo
from .neural_network import NeuralNetwork
from .preload import Encoding, Preload, Target
from .session import Session

__all__ = ["Encoding", "ErrNo", "NeuralNetwork", "Preload", "Session", "Target"]
