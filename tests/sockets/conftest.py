from collections.abc import Iterator

import pytest
from guests.probe import Probe


@pytest.fixture
def probe() -> Iterator[Probe]:
    """A guest that makes any host call, on the host's network."""
    with Probe() as made:
        yield made
