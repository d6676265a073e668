"""Many clients for a while, before guests that end and a worker that is killed.

The environment's LLAMAEDGE_SOAK says for how many seconds, 25 if it does not. The guest answers
each request with the request's own text, so that nobody can get another's unseen.
"""

import json
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from guests.golang import built
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from llamaedge_host import Guest

from .conftest import Front, StartFront

SECONDS = float(os.environ.get("LLAMAEDGE_SOAK", "25"))
CLIENTS = 16
KILLS = 50  # requests, one of which ends its guest
CHAT = "/v1/chat/completions"
REFUSED = (429, 502, 503)
LOST = ("guest_ended", "unavailable", "overloaded")
SLACK = {"front": 12_000_000, "worker": 60_000_000}
"""Bytes of threads' arenas and guests' heaps, which a tenth of a short run does not fill."""
PATIENCE = 40  # seconds for anything


class Client:
    """One of those who ask; ``seen`` counts what came of it."""

    def __init__(self, front: Front, number: int, until: float) -> None:
        self.front = front
        self.until = until
        self.seen: Counter[str] = Counter()
        self.failures: list[BaseException] = []
        self._number = number
        self._asked = 0
        self._random = random.Random(number)
        self._client = httpx.Client(base_url=front.url, timeout=PATIENCE, trust_env=False)

    def run(self) -> None:
        ways: dict[Callable[[], None], int] = {
            self.chat: 8,
            self.stream: 8,
            self.leave: 4,
            self.file: 3,
            self.models: 2,
            self.websocket: 3,
        }
        try:
            with self._client:
                while time.monotonic() < self.until:
                    self._random.choices(list(ways), weights=list(ways.values()))[0]()
        except BaseException as error:
            self.failures.append(error)

    def body(self, **more: Any) -> tuple[str, dict[str, Any]]:
        """A text that nobody else sends, and a request with it."""
        self._asked += 1
        text = f"client {self._number}, request {self._asked}, {self._random.random()}"
        messages = [{"role": "user", "content": text}]
        if self._random.randrange(KILLS) == 0:
            more["end"] = self._random.choice(("panic", "exit", "panic", "exit", "loop"))
            self.seen["ends"] += 1
        return text, {"messages": messages, **more}

    def chat(self) -> None:
        text, body = self.body()
        try:
            response = self._client.post(CHAT, json=body)
        except httpx.RemoteProtocolError:
            self.seen["cut"] += 1
            return
        if response.status_code == 200:
            assert response.json() == {"text": text}
            self.seen["chat"] += 1
        else:
            self.refused(response.status_code, response.json())

    def refused(self, status: int, body: dict[str, Any]) -> None:
        assert status in REFUSED, (status, body)
        assert body["error"]["code"] in LOST, body
        self.seen["refused"] += 1

    def stream(self, most: int = 1000) -> None:
        """Read a stream of which only ``most`` frames are wanted."""
        text, body = self.body(stream=True, count=self._random.randrange(1, 40))
        came = "cut"
        with (
            suppress(httpx.RemoteProtocolError),
            self._client.stream("POST", CHAT, json=body) as response,
        ):
            if response.status_code == 200:
                came = self.read(response.iter_lines(), text, body["count"], most)
            else:
                self.refused(response.status_code, json.loads(response.read()))
                return
        self.seen[came] += 1

    def read(self, lines: Iterator[str], text: str, count: int, most: int) -> str:
        """What came of a stream of ``count`` frames with ``text``."""
        frames: list[dict[str, Any]] = []
        for line in lines:
            if line == "data: [DONE]":
                assert frames == [{"text": text}] * count
                return "stream"
            if not line.startswith("data: "):
                continue  # between two frames, or a comment while none comes
            frames.append(json.loads(line.removeprefix("data: ")))
            if "error" in frames[-1]:
                assert frames.pop()["error"]["code"] in LOST
                break
            if len(frames) == most:
                break
        assert frames == [{"text": text}] * len(frames)
        return "left" if len(frames) == most else "cut"

    def leave(self) -> None:
        self.stream(self._random.randrange(1, 5))

    def file(self) -> None:
        content = os.urandom(self._random.randrange(200_000))
        made = self._client.post("/v1/files", files={"file": ("a.bin", content)}).json()
        assert self._client.get(f"/v1/files/{made['id']}/content").content == content
        assert self._client.delete(f"/v1/files/{made['id']}").json()["deleted"]
        self.seen["file"] += 1

    def models(self) -> None:
        assert self._client.get("/v1/models").status_code in (200, 503)
        assert self._client.get("/health").status_code in (200, 503)
        self.seen["models"] += 1

    def websocket(self) -> None:
        url = f"ws://127.0.0.1:{self.front.port}{CHAT}"
        with (
            suppress(InvalidStatus, ConnectionClosed),
            connect(url, proxy=None, open_timeout=PATIENCE) as socket,
        ):
            for _ in range(3):
                text, body = self.body(stream=True, count=5)
                socket.send(json.dumps(body))
                got = 0
                while (frame := socket.recv(PATIENCE)) != "[DONE]":
                    event = json.loads(frame)
                    if "error" in event:
                        assert event["error"]["code"] in LOST, event
                        self.seen["cut"] += 1
                        break
                    assert event == {"text": text}
                    got += 1
                else:
                    assert got == 5
                    self.seen["websocket"] += 1


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident(pid: int) -> int:
    """Bytes."""
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) * 1024


def worker(front: Front) -> int:
    """The worker's process id, once there is one that serves."""
    deadline = time.monotonic() + PATIENCE
    while True:
        if httpx.get(f"{front.url}/health", trust_env=False).status_code == 200:
            found = children(front.process.pid)
            if found:
                return found[0]
        assert time.monotonic() < deadline, front.log.read_text()[-5000:]
        time.sleep(0.05)


@pytest.mark.timeout(SECONDS + 180)
def test_many_clients_outlast_guests_and_workers(start_front: StartFront, tmp_path: Path) -> None:
    module = tmp_path / "soak.wasm"
    module.write_bytes(built("soak"))
    Guest(module).close()  # which compiles it: that takes more memory than all that follows
    front = start_front(str(module), "127.0.0.1:80", limit=6, instances=3, hang_timeout=3)
    began = time.monotonic()
    clients = [Client(front, number, began + SECONDS) for number in range(CLIENTS)]
    threads = [threading.Thread(target=each.run) for each in clients]
    for thread in threads:
        thread.start()
    early: dict[str, int] = {}
    for moment in (0.1, 0.4, 0.7):
        time.sleep(max(0.0, began + moment * SECONDS - time.monotonic()))
        if moment == 0.1:
            early = {"front": resident(front.process.pid), "worker": resident(worker(front))}
        else:
            os.kill(worker(front), signal.SIGKILL)
    for thread in threads:
        thread.join()
    late = {"front": resident(front.process.pid), "worker": resident(worker(front))}
    failures = [failure for each in clients for failure in each.failures]
    seen = sum((each.seen for each in clients), Counter())
    log = front.log.read_text()
    assert not failures, (failures, log[-3000:])
    for way in ("chat", "stream", "left", "file", "models", "websocket", "ends", "cut"):
        assert seen[way], seen
    assert log.count("ended by SIGKILL") == 2
    assert "Traceback" not in log
    for what, before in early.items():
        assert late[what] < 1.05 * before + SLACK[what], (what, early, late)
    assert httpx.get(f"{front.url}/metrics", trust_env=False).status_code == 200
    assert front.end() == 130
