"""A wasi-nn backend that computes nothing."""

from pathlib import Path

from llamaedge_host import NeuralNetwork, Preload
from llamaedge_host.files import Files
from llamaedge_host.nn import Encoding, NnErrno, Target
from llamaedge_host.nn.backend import Output

SIGNATURES = {
    "load": "iiiii",
    "load_by_name": "iii",
    "load_by_name_with_config": "iiiii",
    "init_execution_context": "ii",
    "set_input": "iii",
    "get_output": "iiiii",
    "get_output_single": "iiiii",
    "compute": "i",
    "compute_single": "i",
    "fini_single": "i",
    "finalize_execution_context": "i",
    "unload": "i",
}


class EchoContext:
    """Its output is its input, a byte at a time with compute_single."""

    opened = 0

    def __init__(self) -> None:
        EchoContext.opened += 1
        self._text = b""
        self._made = 0

    def set_input(self, index: int, tensor_type: int, data: bytes) -> None:
        self._text = data
        self._made = 0

    def compute(self) -> NnErrno:
        return NnErrno.SUCCESS

    def compute_single(self) -> NnErrno:
        if self._made == len(self._text):
            return NnErrno.END_OF_SEQUENCE
        self._made += 1
        return NnErrno.SUCCESS

    def output(self, index: int) -> bytes:
        return self._text

    def output_single(self, index: int) -> bytes:
        return self._text[self._made - 1 : self._made] if self._made else b""

    def fini_single(self) -> None:
        self._text = b""

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        EchoContext.opened -= 1


class EchoGraph:
    opened = 0

    def __init__(self) -> None:
        EchoGraph.opened += 1

    def context(self, files: Files, stdout: Output) -> EchoContext:
        return EchoContext()

    def close(self) -> None:
        EchoGraph.opened -= 1


class EchoBackend:
    def preload(self, path: Path) -> None:
        pass

    def load(self, path: Path, target: Target, config: str | None) -> EchoGraph:
        return EchoGraph()

    def close(self) -> None:
        pass


def echo_network() -> NeuralNetwork:
    """One model is preloaded: ``m``."""
    return NeuralNetwork([Preload.parse("m:GGML:AUTO:none")], backends={Encoding.GGML: EchoBackend})
