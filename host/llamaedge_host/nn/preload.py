"""Models named on the command line: ``--nn-preload name:ENCODING:TARGET:path``."""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self, TypeVar

from ..errors import PreloadError
from ..paths import expanded


class Encoding(IntEnum):
    """A graph's format, as wasi-nn's ``encoding`` (WasmEdge's wasinntypes.h)."""

    OPENVINO = 0
    ONNX = 1
    TENSORFLOW = 2
    PYTORCH = 3
    PYTORCHAOTI = 3
    TENSORFLOWLITE = 4
    AUTODETECT = 5
    GGML = 6
    NEURALSPEED = 7
    WHISPER = 9
    MLX = 10
    PIPER = 11
    CHATTTS = 12
    OPENVINOGENAI = 13
    BITNET = 14


class Target(IntEnum):
    """Where a graph runs, as wasi-nn's ``target``."""

    CPU = 0
    GPU = 1
    TPU = 2
    AUTO = 3


@dataclass(frozen=True)
class Preload:
    """A model that guests find by ``name``."""

    name: str
    encoding: Encoding
    target: Target
    path: Path

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``name:ENCODING:TARGET:path``; the path keeps its own colons,
        and may begin with ``~``.

        Raises PreloadError for a part that is missing or unknown.
        """
        parts = text.split(":", 3)
        if len(parts) < 4 or not parts[0] or not parts[3]:
            raise PreloadError(
                f"--nn-preload {text!r} is not of the form name:ENCODING:TARGET:path,"
                " for example default:GGML:AUTO:model.gguf"
            )
        name, encoding, target, path = parts
        return cls(
            name,
            _member(Encoding, "encoding", encoding, text),
            _member(Target, "target", target, text),
            expanded(path),
        )


_E = TypeVar("_E", bound=IntEnum)


def _member(kind: type[_E], what: str, word: str, text: str) -> _E:
    try:
        return kind[word.upper()]
    except KeyError:
        known = ", ".join(kind.__members__)
        raise PreloadError(
            f"--nn-preload {text!r} has the unknown {what} {word!r}; it must be one of {known}"
        ) from None
