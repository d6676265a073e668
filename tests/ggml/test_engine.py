"""The engine: many sequences at once, each as if it were alone."""

import contextlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llamaedge_host.errors import Interrupted
from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.engine import scheduler
from llamaedge_host.ggml.engine.arrivals import Arrivals
from llamaedge_host.ggml.engine.engine import Engine
from llamaedge_host.ggml.engine.sequence import LOOKAHEAD, End, Limits, Sequence
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.ggml.llama.library import cpus, llama
from llamaedge_host.ggml.sampling.chain import Sampling
from llamaedge_host.ggml.sampling.sampler import Sampler
from llamaedge_host.nn import NnErrno, Target
from llamaedge_host.nn.backend import BackendError

from .conftest import Load, counts, run, stream

SEA = b"the sea and the sea and the sea and a bird"


def engine(graph: GgmlGraph) -> Engine:
    made = graph.engine()
    assert isinstance(made, Engine)
    return made


def settle(graph: GgmlGraph) -> None:
    """Wait until nothing runs."""
    deadline = time.monotonic() + 10
    while engine(graph).counters.sequences_running and time.monotonic() < deadline:
        time.sleep(0.005)


@pytest.mark.parametrize("unified", [False, True])
@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gemma", "tiny_mamba"])
def test_sequences_at_once_are_as_alone(
    load: Load, request: pytest.FixtureRequest, model: str, unified: bool
) -> None:
    keys = {"n_predict": 24, "ctx_size": 256, "kv_unified": unified}
    graph = load(request.getfixturevalue(model), **keys)
    prompts = [SEA[: 5 + 7 * n] for n in range(6)]
    alone = [run(graph.context(), prompt) for prompt in prompts]
    contexts = [graph.context() for _ in prompts]
    with ThreadPoolExecutor(len(prompts)) as pool:
        together = list(pool.map(run, contexts, prompts))
    assert together == alone


def test_a_prefix_is_evaluated_once(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, n_predict=4)
    counters = engine(graph).counters
    context = graph.context()
    first = run(context, SEA)
    told = counts(context)[0]
    assert (counters.prompt_tokens_evaluated, counters.prompt_tokens_reused) == (told, 0)
    assert run(graph.context(), SEA) == first
    assert counters.prompt_tokens_reused == told - 1
    run(context, SEA + b" and the sea" * 5)
    assert counters.prompt_tokens_reused > 1.9 * told
    assert counters.evictions == 0


@pytest.mark.parametrize("unified", [False, True])
def test_a_prefix_is_shared_with_a_running_sequence(
    load: Load, tiny_llama: Path, unified: bool
) -> None:
    keys = {"n_predict": 4, "ignore_eos": True, "kv_unified": unified}
    graph = load(tiny_llama, **keys)
    counters = engine(graph).counters
    prompt = SEA * 5
    reader = graph.context()
    reader.set_input(0, 3, prompt)
    assert reader.compute_single() is NnErrno.SUCCESS
    evaluated = counters.prompt_tokens_evaluated
    other = load(tiny_llama, **keys).context()
    text = run(other, prompt + b"x")
    assert counters.prompt_tokens_reused >= evaluated - 2
    reader.close()
    fresh = load(tiny_llama, n_predict=4, ignore_eos=True, batch_size=64).context()
    assert run(fresh, prompt + b"x") == text


TALKS = [
    SEA * 3,
    SEA * 3 + b" and the bird",
    SEA * 3 + b" and the",
    SEA * 2 + b"xyz",
    b"bird " * 20,
    SEA * 3 + b" and the bird and the sea",
    SEA,
]


@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gemma", "tiny_mamba"])
def test_reuse_does_not_change_a_text(
    backend: GgmlBackend, request: pytest.FixtureRequest, model: str
) -> None:
    path = request.getfixturevalue(model)
    keys = {"temp": 0, "threads": 1, "ctx-size": 256, "n-predict": 30, "ignore-eos": True}

    def texts(*prompts: bytes) -> list[bytes]:
        graph = backend.load(path, Target.AUTO, json.dumps(keys | {"ubatch-size": 64}))
        context = graph.context()
        made = [run(context, prompt) for prompt in prompts]
        context.close()
        graph.close()
        return made

    assert texts(*TALKS) == [text for prompt in TALKS for text in texts(prompt)]


def test_each_sequence_of_a_unified_cache_has_its_own_size(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, ctx_size=256, ignore_eos=True, kv_unified=True)
    contexts = [graph.context() for _ in range(4)]
    for context in contexts:
        context.set_input(0, 3, SEA)
    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(lambda context: context.compute(), contexts))
    assert ends == [NnErrno.CONTEXT_FULL] * 4
    assert [sum(counts(context)) for context in contexts] == [257] * 4


def test_a_recurrent_memory_is_evaluated_again(load: Load, tiny_mamba: Path) -> None:
    graph = load(tiny_mamba, n_predict=8)
    one = run(graph.context(), SEA)
    run(graph.context(), SEA[:-3] + b"b")
    assert run(graph.context(), SEA) == one


def test_a_sequence_stays_a_few_tokens_ahead(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, ignore_eos=True)
    counters = engine(graph).counters
    context = graph.context()
    context.set_input(0, 3, SEA)
    context.compute_single()
    settle(graph)
    assert counters.generated_tokens <= LOOKAHEAD + 1
    for _ in range(50):
        assert context.compute_single() is NnErrno.SUCCESS
    settle(graph)
    assert 51 <= counters.generated_tokens <= 51 + LOOKAHEAD


def test_a_guest_that_does_not_read_makes_place(load: Load) -> None:
    graph = load(n_predict=6, ignore_eos=True)
    sleepers = [graph.context() for _ in range(4)]
    for number, context in enumerate(sleepers):
        context.set_input(0, 3, b"Count to %d:" % number)
        assert context.compute_single() is NnErrno.SUCCESS
    started = time.monotonic()
    assert run(graph.context(), b"Once upon a time")
    assert time.monotonic() - started < 10
    pieces = [sleepers[0].output_single(0)]
    for _ in range(20):
        assert sleepers[0].compute_single() is NnErrno.SUCCESS
        pieces.append(sleepers[0].output_single(0))
    alone, _ = stream(graph.context(), b"Count to 0:", 21)
    assert b"".join(pieces) == b"".join(alone)


def test_cancelling_frees_the_place(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, ignore_eos=True)
    counters = engine(graph).counters
    contexts = [graph.context() for _ in range(4)]
    for context in contexts:
        context.set_input(0, 3, SEA)
        context.compute_single()
    contexts[0].close()
    contexts[1].fini_single()
    contexts[2].set_input(0, 3, SEA)
    assert counts(contexts[2])[1] == 0
    contexts[3].close()
    assert len(stream(graph.context(), SEA, 30)[0]) == 30
    assert counters.cancellations == 4


def test_a_blocked_computation_is_interrupted(load: Load) -> None:
    context = load(ignore_eos=True, n_predict=-1, ctx_size=4096).context()
    context.set_input(0, 3, b"Tell me a story.")
    raised: list[float] = []

    def compute() -> None:
        try:
            context.compute()
        except Interrupted:
            raised.append(time.monotonic())

    thread = threading.Thread(target=compute)
    thread.start()
    time.sleep(0.3)
    cancelled = time.monotonic()
    context.cancel()
    thread.join(10)
    assert raised and raised[0] - cancelled < 1
    context.close()


def test_a_short_request_is_served_while_long_prompts_are_read(load: Load) -> None:
    graph = load(ctx_size=2048, n_predict=1)
    counters = engine(graph).counters
    long = graph.context()
    long.set_input(0, 3, b"word " * 1500)
    long_ended = threading.Event()

    def compute() -> None:
        with contextlib.suppress(Interrupted):
            long.compute()
        long_ended.set()

    thread = threading.Thread(target=compute)
    thread.start()
    while not counters.batch_tokens.total:
        time.sleep(0.01)
    run(graph.context(), b"Hello")
    assert not long_ended.is_set()
    long.cancel()
    thread.join()
    long.close()


@pytest.mark.skipif(cpus() < 2, reason="the engine never takes more threads than CPUs")
def test_steps_that_decode_take_the_threads_that_are_best(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, threads=2, n_predict=4, ignore_eos=True)
    owner = engine(graph)
    pointer = owner._context.pointer
    assert llama.llama_n_threads(pointer) == 2
    owner._threads._rung = 1  # as if a CPU were busy
    run(graph.context(), SEA)
    assert (llama.llama_n_threads(pointer), llama.llama_n_threads_batch(pointer)) == (1, 1)
    run(graph.context(), b"another" * 5)
    owner._threads._rung = 0
    run(graph.context(), SEA)
    assert (llama.llama_n_threads(pointer), llama.llama_n_threads_batch(pointer)) == (2, 2)


def test_one_file_under_two_names_is_loaded_once(load: Load, tiny_llama: Path) -> None:
    one, other = load(tiny_llama, temp=0.5), load(tiny_llama, temp=0.9)
    assert one.model is other.model
    assert one.engine() is other.engine()


def test_unloading_ends_what_runs(backend: GgmlBackend, tiny_llama: Path) -> None:
    config = json.dumps({"threads": 1, "ignore-eos": True, "ctx-size": 256})
    for _ in range(20):
        graph = backend.load(tiny_llama, Target.AUTO, config)
        context = graph.context()
        context.set_input(0, 3, SEA)
        assert context.compute_single() is NnErrno.SUCCESS
        graph.close()
        context.close()
    assert not any("tiny" in name for name in backend.counters())


class Watched(Sampler):
    """A sampler that tells whether it was closed."""

    closed = False

    def close(self) -> None:
        super().close()
        self.closed = True


def made(graph: GgmlGraph, **limits: float) -> tuple[Sequence, Watched]:
    """A sequence of two tokens to submit, and its sampler."""
    vocabulary = graph.model.vocabulary
    sampler = Watched(vocabulary, Sampling.of(graph.settings, vocabulary, 256))
    asked = Limits(ignore_end=True, **limits)  # type: ignore[arg-type]
    sequence = Sequence(
        [1, 2], sampler, vocabulary, asked, capacity=256, stream=False, arrivals=Arrivals()
    )
    return sequence, sampler


def ended(sequence: Sequence, owner: Engine) -> End:
    end = sequence.take(owner, 10)
    assert isinstance(end, End)
    return end


def test_an_engine_that_is_gone_computes_nothing(backend: GgmlBackend, tiny_llama: Path) -> None:
    graph = backend.load(tiny_llama, Target.AUTO, '{"threads": 1, "ctx-size": 256}')
    gone = engine(graph)
    sequence, sampler = made(graph)
    graph.close()
    gone.submit(sequence)
    end = ended(sequence, gone)
    assert end.errno is NnErrno.RUNTIME_ERROR
    assert "unloaded" in end.reason
    assert sampler.closed


def test_a_full_queue_is_an_error_that_lasts(
    load: Load, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "MAX_WAITING", 0)
    graph = load(tiny_llama, single_wait=50)
    context = graph.context()
    context.set_input(0, 3, SEA)
    with pytest.raises(BackendError, match="computations wait already") as raised:
        while context.compute_single() is NnErrno.BUSY:
            pass
    assert raised.value.errno is NnErrno.RUNTIME_ERROR
    assert context.compute_single() is NnErrno.RUNTIME_ERROR
    sequence, sampler = made(graph)
    engine(graph).submit(sequence)
    assert ended(sequence, engine(graph)).errno is NnErrno.RUNTIME_ERROR
    assert sampler.closed


@pytest.mark.parametrize("how", ["ends", "is over its time", "is cancelled", "is unloaded"])
def test_a_sampler_is_freed_however_its_sequence_ends(
    backend: GgmlBackend, tiny_llama: Path, how: str
) -> None:
    graph = backend.load(tiny_llama, Target.AUTO, '{"threads": 1, "ctx-size": 256}')
    owner = engine(graph)
    limits = {"ends": {"tokens": 5}, "is over its time": {"seconds": 0.0}}
    sequence, sampler = made(graph, **limits.get(how, {}))
    owner.submit(sequence)
    if how == "is cancelled":
        owner.cancel(sequence)
    if how != "is unloaded":
        deadline = time.monotonic() + 10
        while not sampler.closed and time.monotonic() < deadline:
            time.sleep(0.005)
    graph.close()
    assert sampler.closed


def test_a_last_token_of_a_prompt_is_counted_as_one_that_was_read(
    load: Load, tiny_llama: Path
) -> None:
    graph = load(tiny_llama, n_predict=3, ignore_eos=True)
    first, second = graph.context(), graph.context()
    run(first, SEA)
    told = counts(first)[0]
    run(second, SEA)
    counted = engine(graph).counters
    assert counted.prompt_tokens_reused == told - 1
    assert counted.prompt_tokens_evaluated == told + 1
    assert counted.most_tokens == told + 3
    assert counted.step_sequences == counted.step_seconds.total


@pytest.mark.parametrize("part", ["_compute", "_sample", "_account"])
def test_a_fault_in_the_engine_ends_what_it_computes(
    load: Load, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of order")

    graph = load(tiny_llama, n_predict=5, ignore_eos=True)
    owner = engine(graph)
    with monkeypatch.context() as patch:
        patch.setattr(owner, part, broken)
        with pytest.raises(BackendError, match="out of order"):
            run(graph.context(), SEA)
    assert run(graph.context(), SEA)


def test_statistics_add_up(backend: GgmlBackend, load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, n_predict=10, ignore_eos=True, ctx_size=768)
    run(graph.context(), SEA)
    settle(graph)
    (numbers,) = (
        json.loads(json.dumps(numbers))
        for name, numbers in backend.statistics().items()
        if name.startswith("llama.gguf")
    )
    assert numbers["generated_tokens"] == 10
    assert numbers["sequences_ended"] == 1
    steps = numbers["step_seconds"]
    assert sum(steps["counts"]) == sum(numbers["batch_tokens"]["counts"]) == 10
    assert len(steps["counts"]) == len(steps["bounds"]) + 1
    assert steps["sum"] == pytest.approx(numbers["prompt_seconds"] + numbers["decode_seconds"])
