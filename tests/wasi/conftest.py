from collections.abc import Iterator
from pathlib import Path

import pytest
from guests.probe import Probe

from llamaedge_host import Preopen


@pytest.fixture
def probe() -> Iterator[Probe]:
    """A guest that makes any host call, on the host's network."""
    with Probe() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[tuple[Probe, Path]]:
    """Such a guest with a directory, and that."""
    with Probe(dirs=[Preopen(tmp_path, ".")]) as made:
        yield made, tmp_path
