"""Imports without looking for garbage."""

import gc

import pytest

from llamaedge_launcher.importing import uncollected


@pytest.mark.parametrize("looks", [True, False])
def test_it_looks_for_garbage_afterwards_as_before(looks: bool) -> None:
    before = gc.isenabled()
    (gc.enable if looks else gc.disable)()
    try:
        with pytest.raises(ImportError), uncollected():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() == looks
    finally:
        gc.unfreeze()
        (gc.enable if before else gc.disable)()
