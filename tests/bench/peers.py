"""Other servers on the same model and threads, where they are installed.

1 to 32 streams, and the first token after a long prompt that was seen but for its end.

xllamacpp is llama.cpp's own server, with as many slots as ours; `scripts/bench peers` installs it
into an environment of its own, which PEER_PYTHON names. LLAMA_SERVER names a llama-server that is
built already, as for a GPU. That of llama-cpp-python wants fastapi, pydantic-settings,
sse-starlette and starlette-context<0.4; it has one slot, and answers one request after another.
Both servers of a ratio run at once, and answer in turns.
"""

import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import count, islice
from statistics import median

import httpx
from client import Client, frames, has_text
from ports import free_port
from report import Report
from server import Server, model_file

from llamaedge_host.ggml.llama.library import cpus

TOKENS = 100
TURNS = 3
SLOTS = 8
CLIENTS = (1, 4, SLOTS, 2 * SLOTS, 4 * SLOTS)
QUESTIONS = 10
SEEN = " ".join(f"The {number}th cat sat on the mat." for number in range(86))  # 936 tokens
_NUMBERS = count()
PYTHON = os.environ.get("PEER_PYTHON", sys.executable)
LLAMA_SERVER = os.environ.get("LLAMA_SERVER", "")
CONTEXT = 4096  # tokens of a slot
THREADS = str(cpus())
OURS = ["--parallel", str(SLOTS), "--ctx-size", str(CONTEXT), "--threads", THREADS]
XLLAMACPP = """
import sys, time, xllamacpp
path, port, threads, slots, context = sys.argv[1], *map(int, sys.argv[2:])
params = xllamacpp.CommonParams()
params.model.path, params.port, params.hostnames = path, port, ["127.0.0.1"]
params.n_parallel, params.n_ctx = slots, slots * context
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
server = xllamacpp.Server(params)
time.sleep(36000)
"""


class Peer:
    """Another program's server on a free port."""

    def __init__(self, command: Callable[[int], list[str]]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            command(port),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.pid = self._process.pid
        while True:
            assert self._process.poll() is None, f"{command(port)[:4]} ended"
            try:
                if httpx.get(self.url + "/v1/models").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def peers() -> dict[str, Callable[[int], list[str]]]:
    """The command that starts each of the servers that are installed, given a port."""
    model = str(model_file())
    found: dict[str, Callable[[int], list[str]]] = {}
    if subprocess.run([PYTHON, "-c", "import xllamacpp"], capture_output=True).returncode == 0:
        found["llama.cpp's server"] = lambda port: [
            *(PYTHON, "-c", XLLAMACPP, model, str(port)),
            *(THREADS, str(SLOTS), str(CONTEXT)),
        ]
    if LLAMA_SERVER:
        found["llama-server"] = lambda port: [
            *(LLAMA_SERVER, "--model", model, "--port", str(port), "--threads", THREADS),
            *("--parallel", str(SLOTS), "--ctx-size", str(SLOTS * CONTEXT)),
        ]
    if importlib.util.find_spec("sse_starlette"):
        found["llama-cpp-python's server"] = lambda port: [
            *(sys.executable, "-m", "llama_cpp.server", "--model", model, "--port", str(port)),
            *("--n_threads", THREADS, "--n_threads_batch", THREADS, "--n_ctx", str(CONTEXT)),
            *("--logits_all", "false", "--interrupt_requests", "false"),
        ]
    return found


BODY = {
    "model": "default",
    "messages": [{"role": "user", "content": "Write a long story about the sea."}],
    "temperature": 0,
    "max_tokens": TOKENS,
}


def rate(url: str, clients: int) -> float:
    """Tokens a second of all clients together, first request to last frame."""
    answers: list[list[tuple[float, bytes]]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(Client(url).chat(BODY)))
        for _ in range(clients)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    assert len(answers) == clients, "a request failed"
    return sum(has_text(frame) for lines in answers for _, frame in frames(lines)) / seconds


def first_token(url: str) -> float:
    """Milliseconds to the first text of an answer whose prompt was seen but for its question."""
    seconds = []
    for number in islice(_NUMBERS, QUESTIONS):
        question = f"{SEEN} What about number {number}?"
        body = BODY | {"messages": [{"role": "user", "content": question}], "max_tokens": 4}
        started = time.perf_counter()
        answer = frames(Client(url).chat(body))
        seconds.append(next(at for at, frame in answer if has_text(frame)) - started)
    return 1e3 * median(seconds)


def measure(report: Report, rounds: int) -> None:
    with Server(OURS) as server:
        rate(server.url, SLOTS)
        for name, command in peers().items():
            with Peer(command) as peer:
                rate(peer.url, SLOTS)
                for _ in range(rounds):
                    for clients in CLIENTS:
                        calls = {
                            f"{name}, {clients} at once": partial(rate, peer.url, clients),
                            f"llamaedge run, {clients} at once": partial(rate, server.url, clients),
                        }
                        report.compare("tokens/s", calls, TURNS)
                    firsts = {
                        f"{name}, first token": partial(first_token, peer.url),
                        "llamaedge run, first token": partial(first_token, server.url),
                    }
                    report.compare("ms", firsts, TURNS)
