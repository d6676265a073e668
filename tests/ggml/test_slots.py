"""What the slots of an engine are doing, as the backend tells it."""

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.nn import NnErrno

from .conftest import FRANCE, Load


def test_slots_tell_of_a_sequence_and_of_what_it_leaves(load: Load) -> None:
    backend = GgmlBackend(parallel=2)
    assert backend.slots() == []
    graph = backend.load(load().model.path, 0, '{"ctx-size": 256, "threads": 1, "temp": 0}')
    context = graph.context()
    try:
        assert [(each.busy, each.tokens) for each in backend.slots()] == [(False, 0)] * 2
        context.set_input(0, 1, FRANCE)
        assert context.compute_single() is NnErrno.SUCCESS
        (busy,) = [each for each in backend.slots() if each.busy]
        assert busy.prompt > 10
        assert busy.made >= 1
        assert busy.tokens >= busy.prompt
        assert (busy.cells, busy.left) == (256, None)
        context.fini_single()
        left = {each.index: each.tokens for each in backend.slots()}
        assert left[busy.index] >= busy.prompt
        assert backend.properties().slots == 2
        assert backend.properties().cells == 256
        assert "<|im_start|>" in backend.properties().template
    finally:
        context.close()
        graph.close()
        backend.close()
