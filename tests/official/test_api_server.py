"""LlamaEdge's own llama-api-server.wasm, under `wasmedge` with real sockets."""

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from bench.ports import free_port
from programs import wasmedge

GUEST = "llama-api-server.wasm"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(
    guests: Path, smollm2: Path, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        wasmedge(
            "--dir", f".:{tmp_path_factory.mktemp('guest')}",
            "--nn-preload", f"default:GGML:AUTO:{smollm2}",
            str(guests / GUEST), "-p", "chatml", "-s", f"127.0.0.1:{port}", "-n", "32",
        ),
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    yield process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def client(server: subprocess.Popen[bytes], port: int) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        deadline = time.monotonic() + 60
        while True:
            assert server.poll() is None, "the server ended"
            try:
                client.get("/echo")
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield client


def test_help_names_the_file(guests: Path) -> None:
    done = subprocess.run(
        wasmedge(str(guests / GUEST), "--help"), capture_output=True, timeout=60, check=True
    )
    assert done.stdout.decode().startswith(f"Usage: {GUEST} [OPTIONS]\n")


def test_models(client: httpx.Client) -> None:
    body = client.get("/v1/models").json()
    assert [each["id"] for each in body["data"]] == ["default:chatml"]


def test_a_chat_answers(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/chat/completions",
        json={
            "model": "default",
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
        },
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body["choices"][0]["message"]["content"].strip()
    assert body["usage"]["prompt_tokens"] > 0
    assert body["usage"]["completion_tokens"] > 0


@pytest.mark.timeout(300)
def test_thousands_of_requests_leave_no_descriptor(
    client: httpx.Client, server: subprocess.Popen[bytes], port: int
) -> None:
    descriptors = Path(f"/proc/{server.pid}/fd")
    if not descriptors.is_dir():
        pytest.skip("counting another process's descriptors needs /proc")

    def count_open() -> int:
        return len(list(descriptors.iterdir()))

    client.get("/echo")
    before = count_open()

    def requests(count: int) -> int:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as own:
            return sum(own.get("/echo").status_code == 200 for _ in range(count))

    with ThreadPoolExecutor(50) as pool:
        assert sum(pool.map(requests, [200] * 50)) == 10_000
    client.get("/echo")
    deadline = time.monotonic() + 10
    while count_open() > before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert count_open() <= before


def test_malformed_json_kills_the_guest_not_the_host(
    client: httpx.Client, server: subprocess.Popen[bytes]
) -> None:
    """The guest panics, as on WasmEdge; the host reports a trap and ends with its code."""
    with pytest.raises(httpx.HTTPError):
        client.post("/v1/chat/completions", content=b"{")
    assert server.wait(timeout=30) == 134
