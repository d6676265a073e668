"""The models of a worker: their problems told by guest."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from llamaedge_host import Preload, PreloadError
from llamaedge_host.nn.backend import BackendError
from llamaedge_launcher.loading import LoadingNetwork

from ..models import tiny


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny.llama(tmp_path / "model.gguf")


def network(path: Path) -> LoadingNetwork:
    return LoadingNetwork([Preload.parse(f"m:GGML:AUTO:{path}")], parallel=None)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.gguf"
    page.write_bytes(b"<!doctype html>")
    with pytest.raises(PreloadError, match=r"model 'm': .*page\.gguf cannot be loaded: "):
        network(page).preload_all()


def test_a_guest_has_its_own_problem(model: Path) -> None:
    models = network(model)
    models.preload_all()
    both = threading.Barrier(2)

    def load(name: str) -> str | None:
        both.wait()
        with suppress(BackendError):
            models.load_by_name(name, None).close()
        both.wait()
        return models.problem

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(load, ("m", "other")))
    assert found == [None, "model 'other': no model is preloaded as 'other' (preloaded: m)"]
    models.close()
