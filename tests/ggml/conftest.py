"""A backend shared by the tests of GGML, and ways to run a prompt."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.nn import Target

Load = Callable[..., GgmlGraph]


@pytest.fixture(scope="session")
def backend() -> Iterator[GgmlBackend]:
    backend = GgmlBackend(parallel=4)
    yield backend
    backend.close()


@pytest.fixture(scope="session", autouse=True)
def model_stays(backend: GgmlBackend, smollm2: Path) -> None:
    backend.preload(smollm2, Target.AUTO)


@pytest.fixture
def load(backend: GgmlBackend, smollm2: Path) -> Iterator[Load]:
    """Loads a graph with metadata given as keywords (``ctx_size=512``); greedy unless told."""
    graphs: list[GgmlGraph] = []

    def load(path: Path = smollm2, **metadata: Any) -> GgmlGraph:
        keys = {"temp": 0.0, "ctx_size": 512} | metadata
        config = json.dumps({name.replace("_", "-"): value for name, value in keys.items()})
        graphs.append(backend.load(path, Target.AUTO, config))
        return graphs[-1]

    yield load
    for graph in graphs:
        graph.close()


@pytest.fixture
def context(load: Load) -> Iterator[GgmlContext]:
    context = load(n_predict=32).context()
    yield context
    context.close()
