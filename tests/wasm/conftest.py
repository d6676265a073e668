import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def hook() -> ModuleType:
    """The build hook, as a module."""
    spec = importlib.util.spec_from_file_location("build_hook", ROOT / "wasm" / "build_hook.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def source() -> Path:
    """The Go module of the guest."""
    return ROOT / "wasm"


@pytest.fixture(scope="session")
def guest(hook: ModuleType, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guest, built from the source as it is now."""
    built = tmp_path_factory.mktemp("guest") / "llama-api-server.wasm"
    hook.compile_guest(source, built, hook.project_version(ROOT))
    return built
