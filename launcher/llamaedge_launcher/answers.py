"""What a worker answers to the front's questions about its models."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from llamaedge_host.ggml.backend import GgmlBackend
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


def _rank(backend: GgmlBackend, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [asdict(each) for each in backend.rank(given["query"], given["documents"])]


def _properties(backend: GgmlBackend, given: Mapping[str, Any]) -> dict[str, Any]:
    return asdict(backend.properties())


_TOPICS: dict[str, Callable[[GgmlBackend, Mapping[str, Any]], Any]] = {
    "slots": _slots,
    "properties": _properties,
    "rank": _rank,
}
