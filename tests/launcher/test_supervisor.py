"""The front process with scripted workers (fake_worker.py): start, restart, end."""

import asyncio
import errno
import json
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from llamaedge_launcher.control import WorkerConfig
from llamaedge_launcher.errors import LauncherError
from llamaedge_launcher.pool import Pool
from llamaedge_launcher.supervisor import Supervisor, WorkerProcess

from .conftest import Front, StartFront
from .front import FAKE

CHAT = "/v1/chat/completions"


def until(
    client: httpx.Client, status: int, seconds: float = 5, path: str = "/v1/info"
) -> httpx.Response:
    """The first answer with ``status``."""
    deadline = time.monotonic() + seconds
    while (response := client.get(path)).status_code != status:
        assert time.monotonic() < deadline, f"{response.status_code} {response.text}"
        time.sleep(0.02)
    return response


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def wait_gone(pid: int, seconds: float = 2) -> None:
    deadline = time.monotonic() + seconds
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.01)


def leftovers(front: Front) -> list[str]:
    folder = front.log.with_name(front.log.stem.replace("front", "tmp"))
    return [each.name for each in folder.iterdir()]


def test_while_it_loads_requests_are_told_so(start_front: StartFront) -> None:
    front = start_front("slow", "1.0", ready=False)
    with front.client() as client:
        response = until(client, 503)
        assert response.headers["retry-after"] == "1"
        assert "loaded" in response.json()["error"]["message"]
        health = client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "loading")
        front.wait_ready()
        assert client.get("/health").json()["status"] == "ready"
        assert client.get("/v1/info").status_code == 200


@pytest.mark.parametrize(
    ("guest", "args", "code", "message"),
    [
        ("fail", ("1",), 1, "error: the model does not load"),
        ("fail", ("2",), 2, "error: the model does not load"),
        ("exit", (), 1, "error: the worker process ended with exit code 3"),
    ],
)
def test_a_first_worker_that_fails_ends_the_program(
    start_front: StartFront, guest: str, args: tuple[str, ...], code: int, message: str
) -> None:
    front = start_front(guest, *args, ready=False)
    assert front.process.wait(timeout=10) == code
    assert front.log.read_text().splitlines() == [message]
    assert not leftovers(front)


def test_a_worker_that_dies_is_replaced(start_front: StartFront) -> None:
    front = start_front()
    with front.client() as client:
        first = client.get("/v1/info").json()["pid"]
        with client.stream(
            "POST", CHAT, json={"messages": [], "answer": "stream", "die_after": 2}
        ) as response:
            lines = [line for line in response.iter_lines() if line]
        assert lines[:3] == [f'data: {{"piece": {number}}}' for number in range(3)]
        assert json.loads(lines[3].removeprefix("data: "))["error"]["code"] == "guest_ended"
        until(client, 503, path="/health")
        response = client.get("/v1/info")
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) >= 1
        assert response.json()["error"]["code"] == "unavailable"
        assert until(client, 200).json()["pid"] != first
        wait_gone(first)
    assert (
        "the worker process ended by SIGKILL; starting the worker again in 0.5 s"
        in front.log.read_text()
    )
    assert "Traceback" not in front.log.read_text()
    assert len(leftovers(front)) == 1, "the first worker's folder is still there"


def test_a_request_whose_worker_dies_is_a_502(start_front: StartFront) -> None:
    front = start_front()
    with front.client() as client:
        response = client.post(CHAT, json={"messages": [], "answer": "die"})
        assert response.status_code == 502
        assert response.json()["error"]["code"] == "guest_ended"
        until(client, 200)


def test_each_restart_waits_longer(start_front: StartFront, tmp_path: Path) -> None:
    front = start_front("once", str(tmp_path / "started"))
    with front.client() as client:
        client.post(CHAT, json={"messages": [], "answer": "die"})
        deadline = time.monotonic() + 20
        while len(delays := re.findall(r"again in ([0-9.]+) s", front.log.read_text())) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert client.get("/health").status_code == 503
    assert delays == ["0.5", "1.0", "2.0"]
    assert "the model has gone; starting the worker again in 1.0 s" in front.log.read_text()
    assert front.end() == 130


def test_a_guest_that_traps_is_replaced_in_its_worker(start_front: StartFront) -> None:
    front = start_front()
    with front.client() as client:
        before = client.get("/v1/info").json()
        client.post(CHAT, json={"messages": [], "answer": "trap", "after": 0.3})
        after = until(client, 200).json()
        assert after["pid"] == before["pid"]
        assert after["path"] != before["path"]
    assert "the guest fake.wasm trapped: unreachable; starting another" in front.log.read_text()


def test_a_request_whose_guest_has_gone_waits_for_the_next(start_front: StartFront) -> None:
    front = start_front()
    with front.client() as client:
        client.post(CHAT, json={"messages": [], "answer": "vanish"})
        response = client.get("/v1/info")
        assert response.status_code == 200, response.text
        assert response.json()["path"].endswith("+")


def test_a_request_goes_to_another_guest_when_its_own_has_gone(start_front: StartFront) -> None:
    front = start_front(limit=1, instances=2)
    with front.client() as client:
        client.post(CHAT, json={"messages": [], "answer": "vanish", "untold": 5})
        assert [client.get("/v1/info").status_code for _ in range(4)] == [200] * 4


def test_health_says_that_a_guest_ends_again_and_again(start_front: StartFront) -> None:
    front = start_front()
    with front.client() as client:
        client.post(CHAT, json={"messages": [], "answer": "crash"})
        until(client, 503)
        deadline = time.monotonic() + 5
        while "before it listened" not in (response := client.get("/health")).text:
            assert time.monotonic() < deadline, response.text
            time.sleep(0.02)
        assert response.status_code == 503
        assert response.json()["status"] == "unavailable"
        assert response.json()["guests"] == 0
        refusal = client.get("/v1/info").json()["error"]["message"]
        assert "ended with exit code 1 before it listened" in refusal


def test_the_requests_of_a_guest_that_hangs_are_502s(start_front: StartFront) -> None:
    front = start_front()
    with front.client() as client, endless(client, count=40) as response:
        lines = response.iter_lines()
        next(lines)
        with front.client() as other:
            hung = other.post(CHAT, json={"messages": [], "answer": "hang"})
        assert hung.status_code == 502
        assert hung.json()["error"]["code"] == "guest_ended"
        last = [line for line in lines if line][-1]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "guest_ended"
        assert until(client, 200).json()["path"].endswith("+")
    assert "Traceback" not in front.log.read_text()


def test_a_worker_that_is_stopped_is_replaced(start_front: StartFront) -> None:
    front = start_front(hang_timeout=3)
    with front.client() as client:
        first = client.get("/v1/info").json()["pid"]
        response = client.post(CHAT, json={"messages": [], "answer": "freeze"})
        assert response.status_code == 502
        assert until(client, 200, seconds=10).json()["pid"] != first
        wait_gone(first)
    assert "the worker process hung for 3 s" in front.log.read_text()


def test_a_worker_that_says_nonsense_is_replaced(start_front: StartFront) -> None:
    front = start_front("babble", ready=False)
    assert front.process.wait(timeout=10) == 1
    assert "error: the worker process ended" in front.log.read_text()
    assert "Traceback" not in front.log.read_text()


def test_requests_that_wait_outlast_their_worker(start_front: StartFront) -> None:
    front = start_front(limit=1)
    with front.client() as client, ThreadPoolExecutor(4) as threads:
        first = client.get("/v1/info").json()["pid"]
        body = {"messages": [], "answer": "stream", "gap": 0.2, "die_after": 3}
        dying = threads.submit(client.post, CHAT, json=body)
        time.sleep(0.2)
        waiting = [threads.submit(client.post, CHAT, json={"messages": []}) for _ in range(3)]
        answers = [each.result() for each in waiting]
        assert [each.status_code for each in answers] == [200] * 3
        assert all(each.json()["pid"] != first for each in answers)
        assert "guest_ended" in dying.result().text


def test_a_worker_that_cannot_be_started_again_is_tried_again(start_front: StartFront) -> None:
    front = start_front()
    temporary = front.log.with_name("tmp0")
    with front.client() as client:
        client.post(CHAT, json={"messages": [], "answer": "die"})
        until(client, 503, path="/health")
        shutil.rmtree(temporary)
        temporary.touch()
        time.sleep(1.0)
        assert client.get("/health").json()["status"] == "unavailable"
        temporary.unlink()
        temporary.mkdir()
        until(client, 200, seconds=10)
    log = front.log.read_text()
    assert "the worker cannot be started: " in log
    assert "Traceback" not in log
    assert front.end() == 130


def test_a_worker_that_cannot_be_started_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    config = WorkerConfig("", "serve", (), {}, (), (), 1, None, "info")
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(LauncherError, match=r"cannot be started: .*/nowhere/python"):
            WorkerProcess(config, ("/nowhere/python",))
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("call", "number", "what"),
    [
        ("subprocess.Popen", errno.EAGAIN, "processes"),
        ("subprocess.Popen", errno.ENOMEM, "memory"),
        ("tempfile.mkdtemp", errno.ENOSPC, "the disk"),
        ("socket.socketpair", errno.EMFILE, "descriptors"),
    ],
)
def test_a_supervisor_outlasts_the_lack_of_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, what: str
) -> None:
    """The first worker dies, and the next one cannot be started for a while."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    config = WorkerConfig("", "serve", (), {}, (), (), 1, None, "info")
    lacking = [2]

    def launch() -> WorkerProcess:
        if not lacking[0]:
            return WorkerProcess(config, FAKE)
        lacking[0] -= 1
        with monkeypatch.context() as patch:
            patch.setattr(call, lambda *_, **__: (_ for _ in ()).throw(OSError(number, what)))
            return WorkerProcess(config, FAKE)

    async def test() -> None:
        pool = Pool(limit=1)
        supervisor = Supervisor(WorkerProcess(config, FAKE), launch, pool, lambda: None)
        running = asyncio.create_task(supervisor.run())
        while not pool.ready:
            await asyncio.sleep(0.01)
        supervisor._worker._process.kill()
        problems = set()
        while lacking[0] or not pool.ready:
            problems.add(supervisor.health().message)
            assert not running.done()
            await asyncio.sleep(0.01)
        assert any(what in (problem or "") for problem in problems), problems
        running.cancel()
        await asyncio.wait((running,))

    asyncio.run(asyncio.wait_for(test(), 60))
    assert list(tmp_path.iterdir()) == []


SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 0)]


def endless(client: httpx.Client, **fields: Any) -> AbstractContextManager[httpx.Response]:
    body = {"messages": [], "answer": "stream", "count": 10_000, "gap": 0.05, **fields}
    return client.stream("POST", CHAT, json=body)


def refuses(front: Front) -> bool:
    try:
        socket.create_connection(("127.0.0.1", front.port)).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_lets_answers_under_way_finish(
    start_front: StartFront, number: int, code: int
) -> None:
    front = start_front(drain_timeout=60)
    with front.client() as client, endless(client, count=40) as response:
        lines = response.iter_lines()
        next(lines)
        front.process.send_signal(number)
        deadline = time.monotonic() + 5
        while not refuses(front):
            assert time.monotonic() < deadline, "it takes new requests"
            time.sleep(0.02)
        assert [line for line in lines if line][-1] == "data: [DONE]"
        assert front.process.wait(timeout=5) == code
    assert "stopping; 1 under way may take 60 s more" in front.log.read_text()
    assert not leftovers(front)


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("signals", [1, 2])
def test_a_second_signal_or_the_end_of_the_time_ends_everything(
    start_front: StartFront, number: int, code: int, signals: int
) -> None:
    front = start_front(drain_timeout=0.5 if signals == 1 else 60)
    with front.client() as client:
        pid = client.get("/v1/info").json()["pid"]
        with endless(client) as response:
            lines = response.iter_lines()
            next(lines)
            for _ in range(signals):
                front.process.send_signal(number)
                time.sleep(0.1)
            last = [line for line in lines if line][-1]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "guest_ended"
        assert front.process.wait(timeout=5) == code
    wait_gone(pid)
    assert not leftovers(front)
    assert "Traceback" not in front.log.read_text()


def test_a_signal_lets_everything_under_way_finish(start_front: StartFront) -> None:
    """Streams, answers that come whole, requests that wait, and a file."""
    front = start_front(limit=2, drain_timeout=60)
    body: dict[str, Any] = {"messages": [], "answer": "stream", "gap": 0.1, "count": 10}
    whole = {"messages": [], "answer": "wait", "seconds": 0.5}
    arrives = threading.Event()

    def file() -> Iterator[bytes]:
        yield b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
        arrives.wait(20)
        yield b"content\r\n--b--\r\n"

    with front.client() as client, ThreadPoolExecutor(8) as threads:
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        asked = [threads.submit(client.post, "/v1/files", content=file(), headers=kind)]
        asked += [threads.submit(client.post, CHAT, json=each) for each in (body, whole) * 3]
        time.sleep(0.7)
        front.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while not refuses(front):
            assert time.monotonic() < deadline, "it takes new requests"
            time.sleep(0.02)
        arrives.set()
        answers = [each.result() for each in asked]
    assert [each.status_code for each in answers] == [200] * 7
    assert all(each.text.endswith("data: [DONE]\n\n") for each in answers[1::2])
    assert front.process.wait(timeout=20) == 0
    assert "Traceback" not in front.log.read_text()


def test_two_signals_end_it_while_a_client_does_not_read(start_front: StartFront) -> None:
    front = start_front(drain_timeout=60)
    with front.client() as client, endless(client, count=1_000_000, gap=0) as response:
        next(response.iter_lines())
        time.sleep(0.5)
        front.process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        assert front.end() == 130
    assert "Traceback" not in front.log.read_text()


def test_a_signal_ends_an_idle_server_at_once(start_front: StartFront) -> None:
    front = start_front(drain_timeout=3600)
    with front.client() as client:
        client.get("/v1/info")
        assert front.end(signal.SIGTERM) == 0
    assert front.log.read_text().splitlines()[-1].endswith("stopping")


def test_a_signal_ends_it_while_it_loads(start_front: StartFront) -> None:
    front = start_front("slow", "30", ready=False)
    with front.client() as client:
        until(client, 503)
    started = time.monotonic()
    assert front.end(signal.SIGTERM) == 0
    assert time.monotonic() - started < 2
    assert not leftovers(front)


def test_a_worker_ends_when_its_front_is_killed(start_front: StartFront) -> None:
    front = start_front()
    with front.client() as client:
        pid = client.get("/v1/info").json()["pid"]
    front.end(signal.SIGKILL)
    wait_gone(pid)
