"""The worker that is started while the command line is read."""

import signal
import sys
from collections.abc import Iterator

import pytest

from llamaedge_launcher import __main__, early
from llamaedge_launcher.control import WorkerConfig
from llamaedge_launcher.supervisor import WorkerProcess
from llamaedge_launcher.variables import SECRETS

TELLS = "import os, socket; socket.socket(fileno=0).sendall(' '.join(os.environ).encode())"
WAITS = (sys.executable, "-c", "import sys; sys.stdin.read()")


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[early.Started]]:
    """Those that are started, in place of workers."""
    started: list[early.Started] = []

    def start(_: object) -> early.Started:
        started.append(original(WAITS))
        return started[-1]

    original = early.start
    monkeypatch.setattr(early, "start", start)
    yield started
    for ours, process in started:
        ours.close()
        process.wait(timeout=30)


def test_it_sees_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("HF_HOME", "/models")
    ours, process = early.start((sys.executable, "-c", TELLS))
    with ours, ours.makefile() as told:
        names = told.read().split()
    assert process.wait() == 0
    assert "HF_HOME" in names
    assert not SECRETS.intersection(names)


def test_it_is_the_first_that_is_taken(begun: list[early.Started]) -> None:
    early.begin()
    assert early.take() is begun[0]
    assert early.take() is begun[1]
    early.end()
    assert [process.poll() for _, process in begun] == [None, None]


def test_the_first_supervised_worker_is_it(begun: list[early.Started]) -> None:
    early.begin()
    config = WorkerConfig("", "serve", (), {}, (), (), 1, None, "info")
    worker = WorkerProcess(config)
    assert [worker._process] == [process for _, process in begun]
    worker.kill()


def test_another_command_gets_a_process_of_its_own(begun: list[early.Started]) -> None:
    early.begin()
    assert early.take(WAITS) is begun[1]
    early.end()
    assert begun[0][1].returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("line", "count"),
    [("run --no-such-option", 1), ("run --help", 0), ("run model.gguf -h", 0), ("list", 0)],
)
def test_a_line_that_serves_nothing_leaves_none(
    begun: list[early.Started], monkeypatch: pytest.MonkeyPatch, line: str, count: int
) -> None:
    monkeypatch.setattr(sys, "argv", ["llamaedge", *line.split()])
    with pytest.raises(SystemExit):
        __main__.main()
    assert [process.returncode for _, process in begun] == [-signal.SIGKILL] * count


def test_a_system_that_lacks_what_it_takes_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "COMMAND", ("/nowhere/python",))
    early.begin()
    with pytest.raises(OSError, match="/nowhere/python"):
        early.take(early.COMMAND)
