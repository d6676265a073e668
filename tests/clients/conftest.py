"""One server for all clients, and the table of what they found."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..launcher.running import Server, running
from ..models import tiny
from .report import Results
from .table import CONTEXT, TASK, Said

RESULTS = pytest.StashKey[Results]()
KEY = "a-key"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = Results()


@pytest.fixture(scope="session")
def results(pytestconfig: pytest.Config) -> Results:
    return pytestconfig.stash.setdefault(RESULTS, Results())


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, smollm2: Path, module_cache: Path
) -> Iterator[Server]:
    """The demo model, greedy, and an embedding model beside it."""
    folder = tmp_path_factory.mktemp("server")
    embedding = tiny.bert(folder / f"{TASK['embedding_model']}.gguf")
    with running(
        folder,
        *("--embeddings", str(embedding), "--api-key", KEY, "--parallel", "2"),
        *(
            "--ctx-size",
            str(CONTEXT),
            "--temp",
            "0",
            "--repeat-penalty",
            "1.0",
            "--n-predict",
            "400",
        ),
    ) as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="module")
def task(server: Server) -> Said:
    """What the adapters are told."""
    return {"url": server.wait_ready(), "key": KEY, **TASK}


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table, and write it where it is asked for."""
    results = config.stash.get(RESULTS, None)
    if results is None or not results.outcomes:
        return
    terminalreporter.section("clients")
    terminalreporter.line(results.table())
    path = config.getoption("--clients-report")
    if path is not None:
        Path(path).write_text(results.document())
