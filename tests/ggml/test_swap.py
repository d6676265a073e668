"""More conversations and more streams than an engine has slots for."""

import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llamaedge_host.errors import Interrupted
from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.engine import scheduler
from llamaedge_host.ggml.engine.counters import Counters
from llamaedge_host.ggml.engine.engine import Engine
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.nn import NnErrno

from .conftest import Load, counts, run, stream

SLOTS = 4  # of the backend that the tests share
TALKS = [b"%c the sea and the bird " % (97 + number) * 6 for number in range(2 * SLOTS)]


def counters(graph: GgmlGraph) -> Counters:
    engine = graph.engine()
    assert isinstance(engine, Engine)
    return engine.counters


def slot(context: GgmlContext) -> int:
    assert context._sequence is not None
    return context._sequence.slot


@pytest.mark.parametrize("keys", [{}, {"kv_unified": True}], ids=["streams", "unified"])
def test_a_conversation_goes_on_after_others_took_its_slot(
    load: Load, tiny_llama: Path, keys: dict[str, bool]
) -> None:
    graph = load(tiny_llama, n_predict=4, ignore_eos=True, **keys)
    first = [run(graph.context(), talk) for talk in TALKS]
    seen = counters(graph)
    assert (seen.swapped_out, seen.swapped_in) == (SLOTS, 0)
    reused = seen.prompt_tokens_reused
    context = graph.context()
    longer = run(context, TALKS[0] + first[0] + b" and the")
    assert seen.swapped_in == 1
    engine = graph.engine()
    assert isinstance(engine, Engine)
    assert seen.swap_bytes == engine._swap.used
    assert engine._scheduler.swap_seconds > 0
    assert seen.prompt_tokens_reused - reused > counts(context)[0] * 0.8
    fresh = load(tiny_llama, n_predict=4, ignore_eos=True, batch_size=64, **keys)
    assert run(fresh.context(), TALKS[0] + first[0] + b" and the") == longer


@pytest.mark.parametrize("model", ["tiny_gemma", "tiny_mamba", "tiny_lfm2"])
def test_what_cannot_be_cut_goes_on_where_it_ended(
    load: Load, request: pytest.FixtureRequest, model: str
) -> None:
    graph = load(request.getfixturevalue(model), n_predict=1, ignore_eos=True)
    for talk in TALKS:
        run(graph.context(), talk)
    seen = counters(graph)
    reused = seen.prompt_tokens_reused
    context = graph.context()
    text = run(context, TALKS[0] + b"x")
    assert seen.prompt_tokens_reused - reused == counts(context)[0] - 1
    fresh = load(request.getfixturevalue(model), n_predict=1, ignore_eos=True, batch_size=64)
    assert run(fresh.context(), TALKS[0] + b"x") == text


def test_nothing_is_swapped_without_room_for_it(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, n_predict=4, ignore_eos=True, cache_ram=0)
    for talk in [*TALKS, TALKS[0]]:
        run(graph.context(), talk)
    seen = counters(graph)
    assert (seen.swapped_out, seen.swap_bytes) == (0, 0)
    assert seen.prompt_tokens_reused <= 2 * len(TALKS)  # the first token or two of each prompt
    assert seen.evictions == SLOTS + 1


def test_what_is_swapped_out_keeps_to_its_room(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, n_predict=4, ignore_eos=True, cache_ram=1, ctx_size=4096)
    seen = counters(graph)
    used = []
    for number in range(6 * SLOTS):
        run(graph.context(), b"%d the sea and the bird " % number * 60)
        used.append(seen.swap_bytes)
    assert seen.swapped_out == 5 * SLOTS
    assert max(used) <= 2**20 < 1.5 * max(used)


def test_a_branch_leaves_its_stem_whole(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, n_predict=1, ignore_eos=True)
    stem, branch = TALKS[0] + TALKS[1] * 2, TALKS[0] + TALKS[2]
    first = run(graph.context(), stem)
    run(graph.context(), branch)
    seen = counters(graph)
    reused = seen.prompt_tokens_reused
    assert reused > 30
    context = graph.context()
    assert run(context, stem) == first
    assert seen.prompt_tokens_reused - reused == counts(context)[0] - 1


@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gemma", "tiny_mamba"])
def test_a_new_request_is_served_while_all_slots_stream(
    load: Load, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr(scheduler, "TURN", 0.01)
    monkeypatch.setattr(scheduler, "SWAPPING", math.inf)
    graph = load(request.getfixturevalue(model), ignore_eos=True, ctx_size=1024)
    prompts = TALKS[:SLOTS]
    most = 400
    ended: list[float] = []

    def long(context: GgmlContext, prompt: bytes) -> bytes:
        pieces, _ = stream(context, prompt, most)
        ended.append(time.monotonic())
        return b"".join(pieces)

    with ThreadPoolExecutor(SLOTS) as pool:
        texts = pool.map(long, [graph.context() for _ in prompts], prompts)
        seen = counters(graph)
        deadline = time.monotonic() + 30
        while seen.sequences_running < SLOTS and time.monotonic() < deadline:
            time.sleep(0.001)
        newcomer = graph.context()
        newcomer.set_input(0, 3, TALKS[-1])
        assert newcomer.compute_single() is NnErrno.SUCCESS
        begun = time.monotonic()
        newcomer.fini_single()
        together = list(texts)
    assert seen.preemptions >= 1
    assert begun < min(ended)
    assert all(together)


@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gemma", "tiny_mamba"])
def test_sequences_move_together_when_one_between_them_ends(
    load: Load, request: pytest.FixtureRequest, model: str
) -> None:
    graph = load(request.getfixturevalue(model), ignore_eos=True, n_predict=1)
    alone = [b"".join(stream(graph.context(), talk, 60)[0]) for talk in TALKS[:3]]
    contexts = [graph.context() for _ in alone]
    for context, talk in zip(contexts, TALKS, strict=False):
        context.set_input(0, 3, talk)
    pieces: list[list[bytes]] = [[], [], []]
    going = [0, 1, 2]
    for step in range(60):
        if step == 20:
            ended = sorted(going, key=lambda number: slot(contexts[number]))[1]
            going.remove(ended)
            contexts[ended].fini_single()
        for number in going:
            assert contexts[number].compute_single() is NnErrno.SUCCESS
            pieces[number].append(contexts[number].output_single(0))
    assert [b"".join(pieces[number]) for number in going] == [alone[number] for number in going]
    seen = counters(graph)
    assert seen.moves == 1
    reused = seen.prompt_tokens_reused
    context = graph.context()
    run(context, TALKS[ended])
    assert model != "tiny_llama" or seen.prompt_tokens_reused - reused == counts(context)[0] - 1


FOREVER = 60_000  # milliseconds, the longest that single-wait takes


def test_one_that_waits_for_a_slot_keeps_no_other_from_its_tokens(
    load: Load, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "TURN", math.inf)
    graph = load(tiny_llama, ignore_eos=True, cache_ram=0, single_wait=FOREVER)
    contexts = [graph.context() for _ in range(SLOTS + 1)]
    for context, talk in zip(contexts, TALKS, strict=False):
        context.set_input(0, 3, talk)
    started = time.monotonic()
    errnos: list[list[NnErrno]] = [[] for _ in contexts]
    while errnos[0].count(NnErrno.SUCCESS) < 30:
        for context, seen in zip(contexts, errnos, strict=True):
            seen.append(context.compute_single())
    assert time.monotonic() - started < FOREVER / 1000
    assert all(seen.count(NnErrno.SUCCESS) >= 20 for seen in errnos[:SLOTS])
    assert NnErrno.BUSY in errnos[SLOTS]


def test_the_call_that_begins_a_computation_waits_for_nothing(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, ignore_eos=True, single_wait=FOREVER).context()
    context.set_input(0, 3, TALKS[0])
    assert context.compute_single() is NnErrno.BUSY
    assert context.compute_single() is NnErrno.SUCCESS
    context.close()


def test_without_a_time_to_wait_it_waits_for_its_token(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, ignore_eos=True).context()
    context.set_input(0, 3, TALKS[0])
    assert context.compute_single() is NnErrno.SUCCESS
    context.close()


def test_what_a_guest_leaves_unread_does_not_keep_it_asking(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, ignore_eos=True, cache_ram=0, single_wait=FOREVER)
    unread = [graph.context() for _ in range(SLOTS)]
    for context, talk in zip(unread, TALKS, strict=False):
        context.set_input(0, 3, talk)
        while context.compute_single() is NnErrno.BUSY:
            pass
    late = graph.context()
    late.set_input(0, 3, TALKS[-1])
    asked = 1
    while late.compute_single() is NnErrno.BUSY:
        asked += 1
    assert asked < 20 * SLOTS  # one for each token that was made meanwhile, at most


def test_a_guest_that_asks_is_woken_to_be_stopped(
    load: Load, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "TURN", math.inf)
    graph = load(tiny_llama, ignore_eos=True, cache_ram=0, single_wait=FOREVER)
    running = [graph.context() for _ in range(SLOTS)]
    for context in running:
        context.set_input(0, 3, TALKS[0])
        context.compute_single()
    late = graph.context()
    late.set_input(0, 3, TALKS[-1])

    def ask() -> None:
        while late.compute_single() is NnErrno.BUSY:
            pass

    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(ask)
        time.sleep(0.1)
        late.cancel()
        assert isinstance(stopped.exception(FOREVER / 2000), Interrupted)


def test_a_time_limit_ends_a_computation(load: Load) -> None:
    graph = load(ignore_eos=True, ctx_size=4096, time_limit=300)
    context = graph.context()
    context.set_input(0, 3, b"Tell me a story.")
    assert context.compute() is NnErrno.SUCCESS
    assert 0 < counts(context)[1] < 3000
    pieces, errno = stream(context, b"Tell me a story.", 4000)
    assert errno is NnErrno.END_OF_SEQUENCE
    assert 0 < len(pieces) < 3000
    assert context.output_single(0) == b""


def test_a_time_limit_holds_while_waiting(load: Load) -> None:
    graph = load(ignore_eos=True, ctx_size=4096, cache_ram=0)
    streams = [graph.context() for _ in range(SLOTS)]
    with ThreadPoolExecutor(SLOTS) as pool:
        running = [pool.submit(stream, each, b"A story:", 10_000) for each in streams]
        while counters(graph).sequences_running < SLOTS:
            time.sleep(0.001)
        late = graph.context()
        late.set_input(1, 3, b'{"time-limit": 50}')
        late.set_input(0, 3, b"Hello")
        assert late.compute_single() is NnErrno.END_OF_SEQUENCE
        assert counts(late)[1] == 0
        assert not any(each.done() for each in running)
        for each in streams:
            each.cancel()
        for each in running:
            assert each.exception() is not None
