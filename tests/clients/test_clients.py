"""Clients of the field against `llamaedge run` with the demo model.

Those that need an environment of their own are run with --clients, which installs them.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ..launcher.running import START, Server
from . import environments
from .report import DOCUMENT, Results
from .table import CLIENTS, SCENARIOS, Client, Said

pytestmark = pytest.mark.timeout(900)


class Adapter:
    """A client's adapter, running."""

    def __init__(self, client: Client, process: "subprocess.Popen[str]", task: Said) -> None:
        self.client = client
        self._process = process
        self.version = self._told({**task, "package": client.package})["version"]

    def ask(self, scenario: str) -> Said:
        """What it says of ``scenario``."""
        answer = self._told(scenario)
        if "failed" in answer:
            pytest.fail(answer["failed"], pytrace=False)
        said: Said = answer["said"]
        return said

    def _told(self, value: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(value), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, f"the adapter ended with {self._process.wait()}"
        return json.loads(line)


class Adapters:
    """The adapter of one client at a time."""

    def __init__(self, task: Said, results: Results) -> None:
        self._task = task
        self._results = results
        self._stack = ExitStack()
        self._current: Adapter | None = None

    def get(self, client: Client) -> Adapter:
        """The client's, which is started if it does not run. Raises Absent."""
        if self._current is None or self._current.client != client:
            self.close()
            words = environments.command(client.environment, client.adapter)
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            self._stack.enter_context(process)
            self._stack.callback(process.kill)
            self._current = Adapter(client, process, self._task)
            self._results.versions[client.title] = self._current.version
        return self._current

    def close(self) -> None:
        """End it."""
        self._stack.close()
        self._current = None


@pytest.fixture(scope="module")
def adapters(task: Said, results: Results) -> Iterator[Adapters]:
    adapters = Adapters(task, results)
    yield adapters
    adapters.close()


@pytest.fixture
def adapter(client: Client, adapters: Adapters, request: pytest.FixtureRequest) -> Adapter:
    if client.environment is not None and not request.config.getoption("--clients"):
        pytest.skip("it is installed and run with --clients")
    try:
        return adapters.get(client)
    except environments.Absent as absent:
        pytest.skip(str(absent))


@pytest.mark.parametrize(
    ("client", "scenario"),
    [
        pytest.param(client, scenario, id=f"{client.title}: {scenario}")
        for client in CLIENTS
        for scenario in SCENARIOS
        if scenario not in client.lacks
    ],
)
def test_client(
    adapter: Adapter, scenario: str, server: Server, task: Said, results: Results
) -> None:
    results.add(adapter.client, scenario, "failed")
    before = len(answered(server))
    SCENARIOS[scenario](adapter.ask(scenario), task)
    if scenario == "cancel":
        deadline = time.monotonic() + START
        while len(answered(server)) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert " 200 cut off, " in answered(server)[-1], "the answer went on"
    results.add(adapter.client, scenario, "passed")


def answered(server: Server) -> list[str]:
    """The log's lines of requests whose answers have ended."""
    return re.findall(r"^\[.* POST /.*$", server.terminal.read_text(), re.MULTILINE)


def test_the_document_has_every_client() -> None:
    rows = [line.split("|")[1:-1] for line in DOCUMENT.read_text().splitlines() if line[:1] == "|"]
    head, _, *clients = [[cell.strip() for cell in row] for row in rows]
    assert head == ["client", "version", *SCENARIOS]
    assert [row[0] for row in clients] == [client.title for client in CLIENTS]
    for client, (_, _, *cells) in zip(CLIENTS, clients, strict=True):
        expected = ["-" if each in client.lacks else "yes" for each in SCENARIOS]
        assert cells == expected, f"{client.title}: run it again"
