"""Models on the devices of other machines, without llama.cpp's RPC backend and with it."""

import subprocess
import sys
from pathlib import Path

import pytest

from llamaedge_host import NeuralNetwork, Preload, PreloadError
from llamaedge_host.ggml.errors import GgmlError
from llamaedge_host.ggml.llama import rpc
from llamaedge_host.ggml.llama.library import llama

from .running import LLAMAEDGE

BUILT = bool(llama.llama_supports_rpc())
without = pytest.mark.skipif(BUILT, reason="this llama.cpp is built with its RPC backend")
MISSING = "this llama.cpp is built without its RPC backend; CMAKE_ARGS=-DGGML_RPC=on builds it,"


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LLAMAEDGE, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


@without
def test_a_worker_needs_the_backend(free_port: int) -> None:
    done = command("rpc-worker", "--listen", f"127.0.0.1:{free_port}")
    assert done.returncode == 1
    assert MISSING in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@without
def test_a_server_needs_the_backend(smollm2: Path, free_port: int) -> None:
    done = command("run", str(smollm2), "--port", str(free_port), "--rpc", "127.0.0.1:50052")
    assert done.returncode == 1
    assert MISSING in done.stderr


@without
def test_a_program_needs_the_backend(smollm2: Path) -> None:
    network = NeuralNetwork([Preload.parse(f"m:GGML:AUTO:{smollm2}")], rpc=["127.0.0.1:50052"])
    with pytest.raises(PreloadError, match="without its RPC backend"):
        network.preload_all()


def test_a_worker_that_is_not_there_is_named(free_port: int) -> None:
    with pytest.raises(GgmlError, match="cannot be reached: Connection refused; start it there"):
        rpc._check(f"127.0.0.1:{free_port}")


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("nowhere", "expected HOST:PORT"),
        ("127.0.0.1:0", "a port from 1 to 65535 must be named"),
        ("[::1]:50052", "llama.cpp needs an IPv4 address here"),
        ("192.0.2.1:50052", "it is no address of this machine"),
    ],
)
def test_where_a_worker_cannot_listen_is_said(listen: str, said: str) -> None:
    done = command("rpc-worker", "--listen", listen)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_worker_for_others_warns(free_port: int) -> None:
    code = (
        "from llamaedge_host.ggml.llama import rpc\n"
        "from llamaedge_launcher.cli import execute\n"
        "rpc.require = lambda: None\n"
        "rpc.serve = lambda host, port, threads: print('serves', host, port, threads)\n"
        f"execute(['rpc-worker', '--listen', '0.0.0.0:{free_port}', '--threads', '3'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == f"serves 0.0.0.0 {free_port} 3\n"
    assert f"warning: 0.0.0.0:{free_port} has no authentication" in done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [("gpu", "expected HOST:PORT"), ("gpu:1,gpu:0", "each needs a port"), ("", "expected HOST")],
)
def test_addresses_that_are_none_are_refused(given: str, said: str) -> None:
    done = command("run", "--rpc", given)
    assert done.returncode == 2
    assert said in done.stderr
