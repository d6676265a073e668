"""llama.cpp's RPC backend: devices of other machines, and this machine's for others.

It has no authentication and no encryption. Source: ggml-rpc.h, llama.cpp's tools/rpc.
"""

import ctypes
import socket
from collections.abc import Iterable
from typing import Any

from ...nn.errno import NnErrno
from ..errors import GgmlError
from .devices import KINDS
from .library import cpus, ggml

TIMEOUT = 5.0
"""Seconds that a worker has to accept a connection."""
_CPU, _ACCELERATOR = "CPU", "accelerator"


def require() -> None:
    """Raise GgmlError for a llama.cpp that is built without the backend."""
    _backend()


def connect(workers: Iterable[str]) -> None:
    """Add the devices of the RPC ``workers``, each HOST:PORT, to those of this process.

    Models are loaded on them from then on, as on GPUs. Raises GgmlError for a worker that does not
    answer, and for a llama.cpp that is built without the backend. A worker serves one process at a
    time; when it goes, llama.cpp ends this process.
    """
    for worker in workers:
        add = _function("ggml_backend_rpc_add_server", ctypes.c_void_p, ctypes.c_char_p)
        _check(worker)
        found = add(worker.encode())
        if not found:
            raise _refused(f"the RPC worker {worker} has no devices")
        ggml.ggml_backend_register.argtypes = [ctypes.c_void_p]
        ggml.ggml_backend_register.restype = None
        ggml.ggml_backend_register(found)


def serve(host: str, port: int, *, threads: int | None = None) -> None:
    """Compute for others at the IPv4 address ``host``, on this machine's GPUs or else its CPU.

    Does not return while it serves. Raises GgmlError for a llama.cpp that is built without the
    backend.
    """
    start = _function(
        "ggml_backend_rpc_start_server",
        None,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_size_t,
        ctypes.POINTER(ctypes.c_void_p),
    )
    lent = _lent()
    devices = (ctypes.c_void_p * len(lent))(*lent)
    start(f"{host}:{port}".encode(), None, threads or cpus(), len(lent), devices)


def _lent() -> list[int]:
    """The devices that are lent: the GPUs, or where there is none the CPU."""
    get, kind = ggml.ggml_backend_dev_get, ggml.ggml_backend_dev_type
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    kind.restype, kind.argtypes = ctypes.c_int, [ctypes.c_void_p]
    devices = [get(number) for number in range(ggml.ggml_backend_dev_count())]
    kinds = {device: KINDS.get(kind(device), "") for device in devices}
    gpus = [device for device in devices if kinds[device] not in (_CPU, _ACCELERATOR)]
    return gpus or [device for device in devices if kinds[device] == _CPU]


def _check(worker: str) -> None:
    """llama.cpp would end the process where nothing listens."""
    host, _, port = worker.rpartition(":")
    try:
        socket.create_connection((host, int(port)), TIMEOUT).close()
    except OSError as error:
        raise _refused(
            f"the RPC worker {worker} cannot be reached: {error.strerror or error};"
            f" start it there with llamaedge rpc-worker --listen {worker}"
        ) from None


def _function(name: str, result: Any, *arguments: Any) -> Any:
    """A function of the backend, which is in a library of its own or in ggml's."""
    address = ggml.ggml_backend_reg_get_proc_address
    address.restype, address.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]
    return ctypes.CFUNCTYPE(result, *arguments)(address(_backend(), name.encode()))


def _backend() -> int:
    by_name = ggml.ggml_backend_reg_by_name
    by_name.restype, by_name.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    backend: int | None = by_name(b"RPC")
    if not backend:
        raise _refused(
            "this llama.cpp is built without its RPC backend; CMAKE_ARGS=-DGGML_RPC=on builds it,"
            " as docs/gpu.md says"
        )
    return backend


def _refused(why: str) -> GgmlError:
    return GgmlError(NnErrno.INVALID_ARGUMENT, why)
