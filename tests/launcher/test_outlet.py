"""A server whose terminal nobody reads."""

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

import httpx

from llamaedge_launcher.outlet import Outlet

from .running import LLAMAEDGE, START, USER

SMALLEST = 4096  # bytes that a pipe holds at least


def test_a_full_pipe_loses_what_comes_and_takes_what_comes_later() -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, SMALLEST)
    outlet = Outlet(writer)
    try:
        for number in range(10_000):
            outlet.write(f"line {number}\n")
        assert os.get_blocking(writer), "others write to the same pipe, and may want to wait"
        first = os.read(reader, 10 * SMALLEST)
        assert first.startswith(b"line 0\nline 1\n")
        assert len(first) <= SMALLEST
        outlet(b"x" * 100_000)
        assert set(os.read(reader, 10 * SMALLEST)) == {ord("x")}
        outlet.write("again\n")
        os.close(reader)
        outlet.write("nobody reads it any more\n")
    finally:
        os.close(writer)


def test_a_file_takes_everything(tmp_path: Path) -> None:
    with tmp_path.joinpath("log").open("wb", buffering=0) as file:
        Outlet(file.fileno())(b"x" * 1_000_000)
    assert tmp_path.joinpath("log").stat().st_size == 1_000_000


def test_a_server_that_nobody_reads_serves_and_ends(
    smollm2: Path, tmp_path: Path, free_port: int
) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, SMALLEST)
    command = [LLAMAEDGE, "run", smollm2, "--threads", "1", "--ctx-size", "512", "--port"]
    process = subprocess.Popen(
        [*command, str(free_port), "--data-dir", tmp_path, "--log-level", "debug"],
        stdout=writer,
        stderr=writer,
    )
    os.close(writer)
    try:
        url = f"http://127.0.0.1:{free_port}"
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            deadline = time.monotonic() + START
            while True:
                assert time.monotonic() < deadline
                assert process.poll() is None
                try:
                    if client.get("/health").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.05)
            for _ in range(20):
                assert client.get("/" + "x" * 2000).status_code == 404
            body = {"messages": [USER], "max_tokens": 4}
            for _ in range(3):
                assert client.post("/v1/chat/completions", json=body).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reader)
