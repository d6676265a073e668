"""llama.cpp's log, its build and the CPUs that it may use."""

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from llamaedge_host.ggml.llama import library
from llamaedge_host.ggml.llama.library import first_error, forget_errors, log_callback

ERROR, CONTINUED = 4, 5
THREADS = 4


def test_a_thread_reads_its_own_errors(caplog: pytest.LogCaptureFixture) -> None:
    barrier = Barrier(THREADS)
    caplog.set_level(logging.DEBUG)

    def fail(name: int) -> str:
        forget_errors()
        barrier.wait()
        log_callback(ERROR, b"llama_decode: the reason", None)
        barrier.wait()
        log_callback(CONTINUED, b" of %d\n" % name, None)
        log_callback(ERROR, b"and what came of it\n", None)
        barrier.wait()
        return first_error("none")

    forget_errors()
    library.logging_to(True)
    with ThreadPoolExecutor(THREADS) as pool:
        reasons = list(pool.map(fail, range(THREADS)))
    library.logging_to(False)
    assert reasons == [f"the reason of {name}" for name in range(THREADS)]
    assert first_error("none") == "none"
    for name in range(THREADS):
        assert f"[WASI-NN] llama.cpp: llama_decode: the reason of {name}" in caplog.messages


def test_errors_are_forgotten() -> None:
    log_callback(ERROR, b"f: a reason\n", None)
    assert first_error("none") == "a reason"
    forget_errors()
    assert first_error("none") == "none"
