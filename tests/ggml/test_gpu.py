"""What is done otherwise where a GPU computes: here one that llama.cpp is said to have."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gguf
import pytest

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.engine.costs import CPU, GPU, costs, drafting
from llamaedge_host.ggml.engine.engine import Engine
from llamaedge_host.ggml.engine.sequence import Sequence
from llamaedge_host.ggml.engine.speculation import Speculation
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.ggml.llama import huge_pages, memory
from llamaedge_host.ggml.llama.devices import Device
from llamaedge_host.ggml.llama.huge_pages import HugePages
from llamaedge_host.ggml.llama.library import llama
from llamaedge_host.nn import NnErrno, Target

from ..models import architectures, sized
from .conftest import HUGE, Machine, run
from .test_speculation import copied

SEA = b"the sea and the sea"
KEYS = {"threads": 1, "temp": 0, "n-predict": 8, "ctx-size": 512, "ignore-eos": True}


def load(path: Path, target: Target = Target.AUTO, **keys: int) -> GgmlGraph:
    return GgmlBackend(parallel=2).load(path, target, json.dumps(KEYS | keys))


def test_a_step_is_awaited_before_its_logits_are_asked_for(
    machine: Machine, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU computes on behind llama_decode; who asks for logits waits, and has the GIL."""
    awaited, synchronize = list[object](), llama.llama_synchronize

    def counted(context: object) -> None:
        awaited.append(context)
        synchronize(context)

    monkeypatch.setattr(llama, "llama_synchronize", counted)
    for gpus, of_steps in (((), 0), ((HUGE,), 1)):
        machine(HUGE, *gpus)
        awaited.clear()
        with closing(load(tiny_llama)) as graph, closing(graph.context()) as context:
            run(context, SEA)
            engine = graph.engine()
            assert isinstance(engine, Engine)
            steps = engine.counters.step_seconds.total
        assert steps > 0
        assert len(awaited) == steps * of_steps


def test_tokens_are_handed_over_while_the_next_ones_are_computed(
    machine: Machine, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU computes on behind llama_decode, a CPU within it."""
    calls = list[str]()

    def noted(owner: object, name: str, short: str) -> None:
        original = getattr(owner, name)

        def call(*given: object) -> object:
            calls.append(short)
            return original(*given)

        monkeypatch.setattr(owner, name, call)

    noted(llama, "llama_decode", "decode")
    noted(llama, "llama_synchronize", "await")
    noted(Sequence, "hand_over", "hand over")
    for gpus, expected in (
        ((), ["decode", *["hand over", "decode"] * 3]),
        ((HUGE,), ["decode", "await", *["decode", "hand over", "await"] * 3]),
    ):
        machine(HUGE, *gpus)
        with closing(load(tiny_llama)) as graph, closing(graph.context()) as context:
            context.set_input(0, 3, SEA)
            calls.clear()
            assert [context.compute_single() for _ in range(4)] == [NnErrno.SUCCESS] * 4
            assert calls[: len(expected)] == expected


def test_drafts_cost_less_on_a_gpu_that_computes_all(machine: Machine, tiny_llama: Path) -> None:
    for gpus, keys, expected in (
        ((), {}, CPU),
        ((HUGE,), {}, GPU),
        ((HUGE,), {"n-gpu-layers": 1}, CPU),
        ((HUGE,), {"n-gpu-layers": 0}, CPU),
    ):
        machine(HUGE, *gpus)
        with closing(load(tiny_llama, **keys)) as graph:  # type: ignore[arg-type]
            assert costs(graph.model).row == expected.row
            assert costs(graph.model).sequences == expected.sequences


def test_another_machines_cpu_is_no_gpu(
    machine: Machine, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """llama.cpp calls all that is computed on by RPC a GPU."""
    machine(HUGE, HUGE)
    monkeypatch.setattr(
        memory, "devices", lambda: [Device("RPC0", "192.168.1.5:50052", "GPU", HUGE, HUGE)]
    )
    with closing(load(tiny_llama)) as graph:
        assert costs(graph.model) is CPU


def test_the_smaller_a_model_the_dearer_is_a_draft(machine: Machine, tmp_path: Path) -> None:
    """It costs steps that are set up anew, and those of a small model are short."""
    machine(HUGE, HUGE)
    kind = gguf.GGMLQuantizationType.F16
    narrow, wide = (
        sized.llama(tmp_path / f"{width}.gguf", width=width, layers=1, feed=2 * width, kind=kind)
        for width in (256, 2048)
    )
    with closing(load(narrow)) as small, closing(load(wide)) as large:
        assert costs(small.model).draft > 5 > 2.5 > costs(large.model).draft > 0
        step, begin = drafting(small.model, large.model)
        assert 0 < step < 0.8
        assert begin == pytest.approx(costs(small.model).draft * step)
        assert drafting(small.model, small.model) == (1, costs(small.model).draft)


def test_a_draft_that_is_dear_is_long_or_none() -> None:
    dear = replace(GPU, draft=1.2)
    assert dear.spent(0) == 0
    assert dear.spent(1) == pytest.approx(1.3)
    assert dear.affordable(1.2) == 0
    assert dear.affordable(1.7) == 5
    assert dear.affordable(dear.spent(2)) == 2
    assert dear.least == 2
    assert replace(GPU, draft=3.2).least == 4
    assert GPU.least == 1
    tokens = [*range(40), *range(20)]
    speculation = Speculation(31, dear)
    first = len(speculation.draft(tokens, 31))
    assert first == 2, "what the shortest costs may be lost before anything is saved"
    assert not speculation.draft(tokens, 1)
    speculation.judge(first, 0)
    assert not speculation.draft([*tokens, 20], 31)


@pytest.mark.parametrize("draft", [0.3, 1.2])
def test_drafts_that_come_true_become_long_where_each_is_dear(draft: float) -> None:
    lengths = copied(Speculation(31, replace(GPU, draft=draft)))
    assert lengths[:5] == [0] * 5, "eight tokens must be the same"
    assert lengths[-1] == 31
    assert len(lengths) < 20


def test_where_a_draft_is_very_dear_more_must_be_the_same() -> None:
    lengths = copied(Speculation(31, replace(GPU, draft=5.0)))
    assert lengths[:13] == [0] * 13
    assert lengths[13] > 5, "fewer would save nothing"
    assert lengths[-1] == 31


def test_each_row_of_a_mixture_of_experts_is_as_dear_there(
    machine: Machine, tmp_path: Path
) -> None:
    machine(HUGE, HUGE)
    with closing(load(architectures.model(tmp_path / "mixture.gguf", "qwen3moe"))) as graph:
        assert graph.model.on_gpu
        assert costs(graph.model) is CPU


@pytest.mark.skipif(not huge_pages.possible(), reason="the system lends no huge pages")
def test_weights_move_into_huge_pages_only_where_no_gpu_is(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else the build could compute on: the wheel's has devices of other machines."""
    path = sized.llama(
        tmp_path / "wide.gguf", width=256, layers=2, feed=512, kind=gguf.GGMLQuantizationType.F16
    )
    begun = list[HugePages]()
    monkeypatch.setattr(HugePages, "begin", lambda pages: begun.append(pages))
    for gpus in ((), (HUGE,)):
        machine(HUGE, *gpus)
        monkeypatch.setattr(llama, "llama_supports_gpu_offload", lambda: True)
        load(path, Target.CPU).close()
        assert len(begun) == 1
