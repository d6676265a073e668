"""The functions of wasi_ephemeral_nn, with a backend that computes nothing."""

import threading
import time
from collections.abc import Callable

import pytest
from guests import docstrings
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaedge_host.errors import BadPointer, Interrupted
from llamaedge_host.nn import (
    NnErrno,
)
from llamaedge_host.nn.session import FUNCTIONS, Session

from .fakes import BUFFER, NAME, OUT, SIZE, TENSOR, Guest


def test_functions_are_found_by_name_and_type(guest: Guest) -> None:
    for name, arity in FUNCTIONS.items():
        assert guest.session.resolve("wasi_ephemeral_nn", name, "i" * arity, "i")
        assert not guest.session.resolve("wasi_ephemeral_nn", name, "i" * (arity + 1), "i")
        assert not guest.session.resolve("wasi_ephemeral_nn", name, "i" * arity, "")
        assert not guest.session.resolve("wasi_nn", name, "i" * arity, "i")
    assert not guest.session.resolve("wasi_ephemeral_nn", "close", "i", "i")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_documented(guest: Guest, name: str) -> None:
    function = guest.session.resolve("wasi_ephemeral_nn", name, "i" * FUNCTIONS[name], "i")
    assert function is not None
    docstrings.check(function, NnErrno)


def test_handles_are_not_reused(ready: Guest) -> None:
    assert ready.context() == 1
    assert ready.call("finalize_execution_context", 1) == 0
    assert ready.context() == 2
    assert ready.call("unload", 0) == 0
    assert ready.load_by_name(b"m") == (0, 1)


@pytest.mark.parametrize(
    "call",
    [
        ("init_execution_context", 7, OUT),
        ("set_input", 7, 0, TENSOR),
        ("get_output", 7, 0, BUFFER, 9, OUT),
        ("get_output_single", 7, 0, BUFFER, 9, OUT),
        ("compute", 7),
        ("compute_single", 7),
        ("fini_single", 7),
        ("finalize_execution_context", 7),
        ("unload", 7),
    ],
)
def test_a_made_up_handle_is_an_invalid_argument(ready: Guest, call: tuple[str, int]) -> None:
    assert ready.call(*call) == NnErrno.INVALID_ARGUMENT


OUTSIDE = SIZE - 3


@pytest.mark.parametrize(
    "call",
    [
        ("load", OUTSIDE, 1, 6, 0, OUT),
        ("load", NAME, 1, 6, 0, OUTSIDE),
        ("load_by_name", OUTSIDE, 100, OUT),
        ("load_by_name", NAME, 1, OUTSIDE),
        ("load_by_name_with_config", NAME, 1, OUTSIDE, 100, OUT),
        ("init_execution_context", 0, OUTSIDE),
        ("set_input", 0, 0, OUTSIDE),
        ("get_output", 0, 0, OUTSIDE, 100, OUT),
        ("get_output", 0, 0, BUFFER, 100, OUTSIDE),
        ("get_output_single", 0, 0, OUTSIDE, 100, OUT),
    ],
)
def test_a_pointer_outside_the_memory_is_refused(ready: Guest, call: tuple[str, int]) -> None:
    with pytest.raises(BadPointer):
        ready.call(*call)
    assert ready.session.fault == NnErrno.INVALID_ARGUMENT
    assert len(ready.backend.graphs) == 1
    assert len(ready.backend.graphs[0].contexts) == 1


def test_the_guests_end_closes_everything(ready: Guest) -> None:
    graph = ready.backend.graphs[0]
    ready.call("unload", 0)
    ready.load_by_name(b"n")
    ready.session.close()
    assert graph.closed and graph.contexts[0].closed
    assert ready.backend.graphs[1].closed
    ready.network.close()
    assert ready.backend.closed


def test_interrupt_wakes_a_computation_and_stops_later_ones(ready: Guest) -> None:
    ready.backend.graphs[0].contexts[0].blocks = True
    raised: list[BaseException] = []

    def compute() -> None:
        try:
            ready.call("compute", 0)
        except Interrupted as error:
            raised.append(error)

    thread = threading.Thread(target=compute)
    thread.start()
    time.sleep(0.05)
    ready.session.interrupt()
    thread.join(5)
    assert raised
    with pytest.raises(Interrupted):
        ready.call("compute", 0)


def test_statistics_are_the_backends(ready: Guest) -> None:
    assert ready.network.statistics() == {"engine": {"generated_tokens": 1}}


ARGUMENT = st.one_of(st.integers(0, 8), st.integers(SIZE - 8, SIZE + 8), st.integers(0, 2**32 - 1))


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(sorted(FUNCTIONS)).flatmap(
            lambda name: st.tuples(st.just(name), st.tuples(*[ARGUMENT] * FUNCTIONS[name]))
        ),
        max_size=12,
    )
)
def test_no_call_does_anything_but_answer_an_errno(
    calls: list[tuple[str, tuple[int, ...]]],
) -> None:
    guest = Guest()
    guest.load_by_name(b"m")
    guest.context()
    for name, args in calls:
        function: Callable[..., int | None] | None
        function = guest.session.resolve("wasi_ephemeral_nn", name, "i" * len(args), "i")
        assert function is not None
        try:
            errno = function(*args)
        except BadPointer:
            errno = Session.fault
        assert errno in NnErrno.__members__.values()
