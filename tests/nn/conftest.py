import pytest

from .fakes import Guest


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def ready(guest: Guest) -> Guest:
    """A guest with graph 0 and context 0."""
    assert guest.load_by_name(b"m") == (0, 0)
    assert guest.context() == 0
    return guest
