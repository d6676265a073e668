"""A cluster of Ray on this machine: a head, where fronts and files are, and what joins it."""

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from bench.ports import free_port
from prometheus_client.parser import text_string_to_metric_families

from ..launcher.models.hub import Hub
from ..launcher.models.hub import running as running_hub

REASON = "replicas are tested on a cluster by scripts/test --ray, or with LLAMAEDGE_RAY=1"
STORE = 80 * 1024 * 1024  # bytes, the least that Ray takes
SMALL = {"num_cpus": 0.5, "threads": 1, "ctx-size": 1024, "parallel": 2, "log-level": "warning"}
PATIENCE = 150.0  # seconds, on a machine that does other work
CHAT = "/v1/chat/completions"
MARK = "LLAMAEDGE_TEST_CLUSTER"  # of the environment, by which its processes are known


class App:
    """The application on a cluster, and a client of it."""

    def __init__(self, cluster: Any, port: int, data: Path) -> None:
        self.cluster = cluster
        self.data = data
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False)

    def deploy(self, **arguments: Any) -> None:
        """Deploy it with ``arguments``, in the place of what runs, and wait until it is ready."""
        from ray import serve

        from llamaedge_launcher.ray import Arguments, application

        given = {"data-dir": str(self.data), "front_resources": {"head": 0.1}, **SMALL, **arguments}
        if "servers" in given:
            inner = [{"num_cpus": given["num_cpus"], **each} for each in given.pop("servers")]
            given = {**given, "servers": inner}
            del given["num_cpus"]
        serve.run(application(Arguments.model_validate(given)))
        self.wait(lambda: self.client.get("/health").status_code == 200)

    def ask(self, text: str, **more: Any) -> httpx.Response:
        body = {"messages": [{"role": "user", "content": text}], "max_tokens": 8, **more}
        return self.client.post(CHAT, json=body)

    def replicas(self, name: str = "default") -> list[str]:
        """The names of the running replicas of a deployment."""
        from ray import serve

        details = serve.status().applications["default"].deployments[name]
        return ["RUNNING"] * details.replica_states.get("RUNNING", 0)

    def actors(self, name: str = "default") -> list[str]:
        from ray.util import list_named_actors

        start = f"SERVE_REPLICA::default#{name}#"
        names = (each["name"] for each in list_named_actors(all_namespaces=True))
        return [each for each in names if each.startswith(start)]

    def workers(self) -> list[int]:
        """The process ids of what serves models."""
        mark = f"{MARK}={os.environ[MARK]}".encode()
        found = []
        for each in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                marked = mark in each.joinpath("environ").read_bytes().split(b"\0")
                if marked and b"llamaedge_launcher.worker" in each.joinpath("cmdline").read_bytes():
                    found.append(int(each.name))
        return found

    def numbers(self, name: str, by: str = "replica") -> dict[str, float]:
        """A metric's values by their replicas, or by another label."""
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        return {
            sample.labels[by]: sample.value
            for family in families
            for sample in family.samples
            if sample.name == name
        }

    def busy(self) -> list[float]:
        """The requests that each replica answers now."""
        return list(self.numbers("llamaedge_requests_processing").values())

    def wait(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    """The hub that the cluster's machines ask; it is empty."""
    with running_hub() as hub:
        yield hub


@pytest.fixture(scope="session")
def app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, module_cache: Path
) -> Iterator[App]:
    if not (request.config.getoption("--ray") or os.environ.get("LLAMAEDGE_RAY")):
        pytest.skip(REASON)
    ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_SERVE_LOG_TO_STDERR": "0"}
    os.environ[MARK] = uuid.uuid4().hex
    here = str(Path(__file__).parent)  # where random_router is
    os.environ["PYTHONPATH"] = here
    sys.path.append(here)
    from ray import serve
    from ray.cluster_utils import Cluster

    hub = request.getfixturevalue("hub")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 4,
                "resources": {"head": 1},
                "object_store_memory": STORE,
                "include_dashboard": False,
            },
        )
    ray.init(address=cluster.address, logging_level="error", log_to_driver=False)
    port = free_port()
    # a proxy of each node would listen on the same port of this machine
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    try:
        yield App(cluster, port, tmp_path_factory.mktemp("data"))
    finally:
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()
