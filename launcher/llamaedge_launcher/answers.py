"""What a worker answers to the front's questions about its models."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llamaedge_host.ggml.backend import GgmlBackend
from llamaedge_host.ggml.engine.store import private_folder
from llamaedge_host.nn import Encoding, NeuralNetwork
from llamaedge_host.nn.backend import BackendError
from llamaedge_host.nn.errno import NnErrno

from .control import Answered, Question

_FAULTS = (NnErrno.INVALID_ARGUMENT, NnErrno.PROMPT_TOO_LONG, NnErrno.NOT_FOUND)


class Answers:
    """Answers of the models of ``network``. Any thread; blocks."""

    def __init__(self, network: NeuralNetwork) -> None:
        self._network = network

    def __call__(self, question: Question) -> Answered:
        """The answer, or why there is none."""
        try:
            backend = self._network.backend(Encoding.GGML)
            assert isinstance(backend, GgmlBackend)
            found = _TOPICS[question.about](backend, question.given)
            return Answered(question.number, found)
        except BackendError as error:
            return Answered(
                question.number,
                problem=str(error),
                fault=error.errno in _FAULTS,
                unsupported=error.errno is NnErrno.UNSUPPORTED_OPERATION,
            )
        except Exception as error:
            return Answered(question.number, problem=f"{type(error).__name__}: {error}")


def _slots(backend: GgmlBackend, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [asdict(each) for each in backend.slots()]


def _moved(
    act: Callable[[GgmlBackend, int, Path], tuple[int, int]],
) -> Callable[[GgmlBackend, Mapping[str, Any]], dict[str, Any]]:
    """An answer that moves a slot's cache between it and a file of a folder."""

    def answer(backend: GgmlBackend, given: Mapping[str, Any]) -> dict[str, Any]:
        folder = private_folder(Path(given["folder"]), "--slot-save-path")
        started = time.perf_counter()
        tokens, size = act(backend, given["slot"], folder / given["filename"])
        seconds = time.perf_counter() - started
        return {"tokens": tokens, "bytes": size, "seconds": seconds}

    return answer


def _adapters(backend: GgmlBackend, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"path": str(each.path), "scale": each.scale} for each in backend.adapters()]


def _scale(backend: GgmlBackend, given: Mapping[str, Any]) -> None:
    backend.scale_adapters(given["adapters"])


def _erase(backend: GgmlBackend, given: Mapping[str, Any]) -> int:
    return backend.erase_slot(given["slot"])


def _rank(backend: GgmlBackend, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [asdict(each) for each in backend.rank(given["query"], given["documents"])]


def _properties(backend: GgmlBackend, given: Mapping[str, Any]) -> dict[str, Any]:
    return asdict(backend.properties())


_TOPICS: dict[str, Callable[[GgmlBackend, Mapping[str, Any]], Any]] = {
    "slots": _slots,
    "properties": _properties,
    "rank": _rank,
    "save": _moved(GgmlBackend.save_slot),
    "restore": _moved(GgmlBackend.restore_slot),
    "erase": _erase,
    "adapters": _adapters,
    "scale": _scale,
}
