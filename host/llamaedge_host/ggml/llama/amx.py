"""Whether llama.cpp's kernels for AMX work here, as a process of its own finds out.

gcc before 12.4 and 13.3 compiles them such that the first product of matrices ends the process
(its bug 114098; scripts/amx.h mends that in what scripts/install compiles). Without them llama.cpp
computes with AVX-512.
"""

import ctypes
import logging
import signal
import subprocess
import sys
from functools import cache
from itertools import takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # this file is a program too, without its package
    from .gguf import Gguf

SECONDS = 60.0
"""After so long the kernels are taken for ones that do not work."""
KINDS = frozenset((1, 2, 3, 8, 12, 13, 14, 23))
"""The ggml_type of weights that llama.cpp has kernels for: F16, Q4_0, Q4_1, Q8_0, Q4_K, Q5_K, Q6_K,
IQ4_XS."""
_ROWS, _COLUMNS, _VECTORS = 64, 256, 16
"""Of the weights that are tried, and how many vectors they are multiplied by."""
_F32, _Q8_0 = 0, 8  # ggml_type
_BLOCK = 32  # numbers of a block of Q8_0
_P, _N = ctypes.c_void_p, ctypes.c_size_t
_log = logging.getLogger("llamaedge_host.nn")


def computes(header: "Gguf") -> bool:
    """Whether most of the weights of the model of ``header`` are computed with AMX."""
    sizes = [0, 0]
    for tensor in header.tensors:
        sizes[tensor.kind in KINDS] += tensor.size
    return sizes[True] > sizes[False] and _compiled() and works()


def _compiled() -> bool:
    from .library import llama

    return b"AMX_INT8 = 1" in (llama.llama_print_system_info() or b"")


def _libraries() -> list[str]:
    """Those with ggml's functions: two, or llama.cpp's own if it is one library."""
    from .openmp import mapped

    return mapped("libggml-base")[:1] + mapped("libggml-cpu")[:1] or mapped("libllama")[:1]


@cache
def works() -> bool:
    """Whether models may be computed with AMX; True where llama.cpp has nothing for it anyway."""
    libraries = _libraries()
    if not (_compiled() and sys.executable and libraries):
        return True
    try:
        done = subprocess.run(
            [sys.executable, "-P", __file__, *libraries],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        why = f"it took {SECONDS:.0f} s"
    except OSError:  # no process can be started here
        return True
    else:
        why = _failure(done.returncode, done.stderr)
    if why:
        _log.warning(
            "[WASI-NN] GGML backend: what llama.cpp was compiled with for AMX does not work here"
            " (%s), so models are computed without it, which takes two to four times as long;"
            " `llamaedge doctor` says how to compile llama.cpp again",
            why,
        )
    return not why


def _failure(code: int, errors: str) -> str:
    if code < 0:
        return signal.Signals(-code).name
    last = errors.strip().splitlines()[-1:] or [f"status {code}"]
    return last[0] if code else ""


class _Parameters(ctypes.Structure):
    """ggml_init_params."""

    _fields_ = (("size", _N), ("buffer", _P), ("no_alloc", ctypes.c_bool))


def main(*paths: str) -> str | None:
    """Multiply weights that are laid out for AMX, by ggml's libraries ``paths``.

    What is wrong with the product, None if nothing is.
    """
    libraries = [ctypes.CDLL(path) for path in paths]

    def call(name: str, *arguments: Any, result: Any = _P) -> Any:
        function = next(found for each in libraries if (found := getattr(each, name, None)))
        function.restype = result
        value = function(*arguments)
        return _P(value) if result is _P else value

    registry = call("ggml_backend_cpu_reg")
    device = call("ggml_backend_reg_dev_get", registry, _N(0))
    name = b"ggml_backend_dev_get_extra_bufts"
    address = call("ggml_backend_reg_get_proc_address", registry, name).value
    found = ctypes.CFUNCTYPE(ctypes.POINTER(_P), _P)(address)(device)
    layouts = {
        call("ggml_backend_buft_name", _P(each), result=ctypes.c_char_p): _P(each)
        for each in takewhile(bool, found)
    }
    if b"AMX" not in layouts:
        return None  # the system does not let a process use it
    weights, others = (call("ggml_init", _Parameters(1 << 20, None, True)) for _ in range(2))

    def matrix(owner: Any, kind: int, rows: int) -> Any:
        sizes = (ctypes.c_int64(_COLUMNS), ctypes.c_int64(rows))
        return call("ggml_new_tensor_2d", owner, kind, *sizes)

    weight, vectors = matrix(weights, _Q8_0, _ROWS), matrix(others, _F32, _VECTORS)
    product = call("ggml_mul_mat", others, weight, vectors)
    graph = call("ggml_new_graph", others)
    call("ggml_build_forward_expand", graph, product)
    call("ggml_backend_alloc_ctx_tensors_from_buft", weights, layouts[b"AMX"])
    plain = call("ggml_backend_cpu_buffer_type")
    call("ggml_backend_alloc_ctx_tensors_from_buft", others, plain)
    ones = (b"\x00\x3c" + b"\x01" * _BLOCK) * (_ROWS * _COLUMNS // _BLOCK)  # 1.0, times 1 each
    call("ggml_backend_tensor_set", weight, ones, _N(0), _N(len(ones)))
    values = (ctypes.c_float * (_VECTORS * _COLUMNS))(*[1.0] * (_VECTORS * _COLUMNS))
    call("ggml_backend_tensor_set", vectors, values, _N(0), _N(ctypes.sizeof(values)))
    backend = call("ggml_backend_cpu_init")
    call("ggml_backend_cpu_set_n_threads", backend, 1)
    call("ggml_backend_graph_compute", backend, graph)
    sums = (ctypes.c_float * (_VECTORS * _ROWS))()
    call("ggml_backend_tensor_get", product, sums, _N(0), _N(ctypes.sizeof(sums)))
    wrong = [value for value in sums if abs(value - _COLUMNS) > 1]
    return f"{len(wrong)} of {len(sums)} sums are wrong" if wrong else None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
