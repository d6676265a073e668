"""Inputs, computations and outputs of a context."""

import pytest

from llamaedge_host.nn import (
    NnErrno,
    computing,
    edge,
)
from llamaedge_host.nn.backend import BackendError
from llamaedge_host.nn.computing import UNSIZED_BUFFER

from .fakes import BUFFER, OUT, Guest


def test_metadata_has_a_bounded_length(ready: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in computing, edge:
        monkeypatch.setattr(module, "MAX_METADATA", 10)
    assert ready.set_input(0, 1, b"x" * 11) == NnErrno.TOO_LARGE
    assert ready.counts()["error"] == "the metadata has 11 bytes; 10 are the most"
    assert ready.set_input(0, 1, b"x" * 10) == 0
    assert ready.set_input(0, 0, b"x" * 11) == 0
    assert ready.load_by_name(b"n", b"x" * 11)[0] == NnErrno.TOO_LARGE


def test_a_computation(ready: Guest) -> None:
    assert ready.set_input(0, 0, b"hello") == 0
    assert ready.call("compute", 0) == 0
    assert ready.output(0, 0, 100) == 0
    assert ready.memory.read(BUFFER, ready.memory.u32(OUT)) == b"hello"
    assert ready.output(0, 0, 100, "get_output_single") == 0
    assert ready.memory.read(BUFFER, ready.memory.u32(OUT)) == b"o"
    assert ready.output(0, 1, 100) == 0
    assert ready.counts() == {"output_tokens": 3}
    assert ready.call("compute_single", 0) == NnErrno.END_OF_SEQUENCE
    assert ready.call("fini_single", 0) == 0


def test_the_backend_gets_the_tensor_type_and_its_errno_goes_out(ready: Guest) -> None:
    for kind, errno in ((0, 0), (1, 0), (2, 1), (3, 0), (4, 0), (5, 1), (6, 1)):
        assert ready.set_input(0, 0, b"x", kind) == errno
    assert [kind for _, kind, _ in ready.backend.graphs[0].contexts[0].inputs] == [0, 1, 3, 4]
    assert ready.set_input(0, 1, b"bad") == NnErrno.INVALID_ENCODING


def test_a_short_buffer_says_what_is_needed(ready: Guest) -> None:
    ready.set_input(0, 0, b"hello")
    ready.call("compute", 0)
    assert ready.output(0, 0, 4) == NnErrno.TOO_LARGE
    assert ready.memory.u32(OUT) == 5
    assert ready.memory.read(BUFFER, 5) == bytes(5)


def test_an_unsized_buffer_has_the_room_of_llama_core(ready: Guest) -> None:
    context = ready.backend.graphs[0].contexts[0]
    context.text = b"x" * UNSIZED_BUFFER
    assert ready.output(0, 0, 0) == 0
    assert ready.memory.u32(OUT) == UNSIZED_BUFFER
    context.text += b"x"
    assert ready.output(0, 0, 0) == NnErrno.TOO_LARGE


def test_a_failure_is_told_in_words_until_a_call_succeeds(ready: Guest) -> None:
    assert "error" not in ready.counts()
    for _ in range(2):
        assert ready.set_input(0, 1, b"bad") == NnErrno.INVALID_ENCODING
        for name in "get_output", "get_output_single":
            assert ready.counts(name) == {"output_tokens": 3, "error": "it is bad"}
    assert ready.set_input(0, 0, b"x", 99) == NnErrno.INVALID_ARGUMENT
    assert ready.counts()["error"] == "unknown tensor type 99"
    assert ready.set_input(0, 0, b"good") == 0
    assert "error" not in ready.counts()
    ready.set_input(0, 1, b"bad")
    assert ready.call("compute", 0) == 0
    assert "error" not in ready.counts()
    ready.call("unload", 0)
    assert ready.call("compute", 0) == NnErrno.INVALID_ARGUMENT
    assert ready.counts()["error"] == "the graph of context 0 has been unloaded"


@pytest.mark.parametrize(
    ("errno", "error"),
    [
        (NnErrno.SUCCESS, None),
        (NnErrno.BUSY, None),
        (NnErrno.END_OF_SEQUENCE, None),
        (NnErrno.CONTEXT_FULL, "the context is full: a larger ctx-size holds more tokens"),
        (NnErrno.PROMPT_TOO_LONG, "the prompt is too long for the context"),
        (NnErrno.RUNTIME_ERROR, "the computation failed"),
    ],
)
def test_an_end_that_stays_has_its_reason(ready: Guest, errno: NnErrno, error: str | None) -> None:
    ready.backend.graphs[0].contexts[0].single = errno
    for _ in range(2):
        assert ready.call("compute_single", 0) == errno
        assert ready.counts().get("error") == error


def test_a_failure_that_stays_keeps_its_reason(
    ready: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> NnErrno:
        raise BackendError(NnErrno.RUNTIME_ERROR, "the model computes no numbers")

    context = ready.backend.graphs[0].contexts[0]
    context.single = NnErrno.RUNTIME_ERROR
    with monkeypatch.context() as patch:
        patch.setattr(context, "compute_single", fail)
        assert ready.call("compute_single", 0) == NnErrno.RUNTIME_ERROR
    for _ in range(2):
        assert ready.call("compute_single", 0) == NnErrno.RUNTIME_ERROR
        assert ready.counts()["error"] == "the model computes no numbers"
