import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from starlette.routing import BaseRoute

from llamaedge_launcher.fleet.recipe import Model
from llamaedge_launcher.health import Figures, Health, Source
from llamaedge_launcher.proxy.app import create_app
from llamaedge_launcher.settings import Settings


@dataclass
class Front:
    """A front process, with what it wrote to stderr in a file."""

    process: "subprocess.Popen[str]"
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def wait_ready(self) -> None:
        assert self.output.readline() == "ready\n", self.log.read_text()

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20, trust_env=False)

    def end(self, number: int = signal.SIGINT) -> int:
        """Send the signal and answer the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=10)


class Loading:
    """What a front without a worker can be asked."""

    async def models(self) -> list[Model]:
        return []

    def health(self) -> Health:
        return Health("loading", 0)

    async def figures(self) -> dict[Source, Figures]:
        return {}


def routes() -> list[BaseRoute]:
    """What the public server has before the bundled guest."""
    return create_app(None, Loading(), Settings(), known_only=True, local=True).routes  # type: ignore[arg-type]


StartFront = Callable[..., Front]


@contextlib.contextmanager
def starting(folder: Path) -> Iterator[StartFront]:
    """Starts fronts with fake workers, and ends those still running."""
    started: list[Front] = []

    def start(
        guest: str = "serve",
        *args: str,
        limit: int = 8,
        instances: int = 1,
        known_only: bool = True,
        ready: bool = True,
        models: dict[str, str] | None = None,
        **settings: Any,
    ) -> Front:
        script = Path(__file__).with_name("front.py")
        known = "known" if known_only else "all"
        given = json.dumps({"data_dir": str(folder / "data"), **settings})
        command = [sys.executable, str(script), given]
        command += [str(limit), str(instances), known, json.dumps(models or {}), guest, *args]
        log = folder / f"front{len(started)}.log"
        temporary = folder / f"tmp{len(started)}"
        temporary.mkdir()
        with log.open("w") as file:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env=os.environ | {"TMPDIR": str(temporary)},
            )
        assert process.stdout is not None
        front = Front(process, int(process.stdout.readline()), log)
        started.append(front)
        if ready:
            front.wait_ready()
        return front

    try:
        yield start
    finally:
        for front in started:
            if front.process.poll() is None:
                front.process.kill()
            front.process.wait()
            front.output.close()


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """A command that a test runs in this process leaves no handler on the test's own stderr."""
    yield
    for each in logging.root.handlers[:]:
        if type(each) is logging.StreamHandler:
            logging.root.removeHandler(each)


@pytest.fixture
def start_front(tmp_path: Path) -> Iterator[StartFront]:
    with starting(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """One front for the tests of a module that leave it as it was."""
    with starting(tmp_path_factory.mktemp("front")) as start:
        yield start()


@pytest.fixture
def client(front: Front) -> Iterator[httpx.Client]:
    with front.client() as client:
        yield client
