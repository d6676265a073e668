"""Drafts from the text so far: what they are, what they may cost, and that no text shows them."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaedge_host.ggml import GgmlBackend
from llamaedge_host.ggml.engine.costs import CPU, GPU, Costs
from llamaedge_host.ggml.engine.counters import Counters
from llamaedge_host.ggml.engine.engine import Engine
from llamaedge_host.ggml.engine.sequence import UNREAD
from llamaedge_host.ggml.engine.speculation import ADVANCE, NGRAM, SHARE, Speculation
from llamaedge_host.ggml.graph import GgmlGraph
from llamaedge_host.nn import NnErrno, Target

from .conftest import Load, counts, run, stream
from .greedy import Greedy

STORY = (
    "The ferry leaves the old harbour at seven in the morning and reaches the island of Samso"
    " two hours later. Whoever misses it waits for the one at noon, which is slower but cheaper,"
    " and has a kitchen that is known for its fish soup."
)
REPEAT = (
    f"<|im_start|>user\nRepeat this text word for word.\n\n{STORY}<|im_end|>\n"
    f"<|im_start|>assistant\n{STORY[:60]}"
).encode()
SEA = b"the sea and the sea and the sea and a bird"
OFF = {"n_max_speculative": 0}


def counters(graph: GgmlGraph) -> Counters:
    engine = graph.engine()
    assert isinstance(engine, Engine)
    return engine.counters


def rich(longest: int = 15) -> Speculation:
    """One that has saved what it may."""
    made = Speculation(longest)
    made.judge(0, 1000)
    return made


@pytest.mark.parametrize(
    ("tokens", "draft"),
    [
        ([1, 2, 3, 4, 5, 6, 1, 2, 3], [4, 5, 6, 1, 2, 3, 4]),
        ([1, 2, 3, 4, 1, 2, 3, 4, 6, 1, 2, 3], [4, 6, 1, 2, 3, 4, 6]),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3], [4, 5, 6, 7, 8, 9, 1]),
        ([7, 7, 7, 7], [7, 7, 7, 7, 7, 7, 7]),
        ([1, 2, 3, -2, -3, 5, 1, 2, 3], []),
        ([1, 2, 3, 4, 5, 6, 8, -(2**90), 1, 2, 3], [4, 5, 6]),
        ([1, 2, 3, 4, 2, 3], []),
        ([2, 3, 9, 1, 2, 3], []),
        ([1, 2, 3], []),
        ([1, 2], []),
        ([], []),
        # more tokens are the same further back
        (
            [9, 8, 7, 6, 1, 2, 3, 50, 51, 5, 1, 2, 3, 60, 9, 8, 7, 6, 1, 2, 3],
            [50, 51, 5, 1, 2, 3, 60],
        ),
        # few are the same, and the last of them was followed by others too
        ([1, 2, 3, 4, 1, 2, 3, 5, 6, 1, 2, 3], []),
        ([1, 2, 3, 4, 5, 3, 6, 1, 2, 3], []),
        ([3, 6, *[3, 5] * 3, 1, 2, 3, 5, 8, 1, 2, 3], [5, 8, 1, 2, 3, 5, 8]),  # but lately
        ([1, 2, 3, 4, 5, 6, 7, 8, 6, 9, 1, 2, 3, 4, 5, 6], [7, 8, 6, 9, 1, 2, 3]),
        # three tokens whose bytes occur before, but across the borders of tokens
        ([0x100, 0x200, 0x300, 0x900, 1, 2, 3], []),
    ],
)
def test_what_followed_last_time_is_drafted(tokens: list[int], draft: list[int]) -> None:
    assert [*rich().draft(tokens, 7)] == draft


def test_tokens_that_came_since_are_looked_up_too() -> None:
    speculation = rich()
    tokens = [1, 2, 3, 4]
    assert not speculation.draft(tokens, 16)
    tokens += [9, 8, 1, 2, 3]
    assert [*speculation.draft(tokens, 3)] == [4, 9, 8]


def test_a_draft_is_as_long_as_was_asked_for_at_most() -> None:
    tokens = [*range(50), *range(NGRAM)]
    assert len(rich(15).draft(tokens, 16)) == 15
    assert len(rich(7).draft(tokens, 16)) == 7
    assert len(rich(15).draft(tokens, 4)) == 3
    assert not rich(0).draft(tokens, 16)
    assert not rich(16).draft(tokens, 0)


def test_a_draft_goes_on_behind_a_word_that_was_changed() -> None:
    speculation, text = rich(), [*range(100, 140)]
    tokens = [*text, 1, *text[:3]]
    assert [*speculation.draft(tokens, 7)] == text[3:10]
    speculation.judge(7, 4)
    tokens += [*text[3:7], 77]
    assert not speculation.draft(tokens, 7)
    speculation.judge(0, 0)
    tokens += text[8:9]
    assert [*speculation.draft(tokens, 7)] == text[9:12]


def copied(speculation: Speculation) -> list[int]:
    """The lengths of the drafts of a text of which 260 tokens are a copy, all of them right."""
    lengths = []
    text = [*range(100, 400)]
    tokens = [*text, 1, *text[:3]]
    while len(tokens) < 560:
        drafted = len(speculation.draft(tokens, 64))
        speculation.judge(drafted, drafted)
        lengths.append(drafted)
        at = len(tokens) - 301
        tokens += text[at : at + drafted + 1]
    return lengths


def test_a_long_copy_is_drafted_at_once_in_the_end() -> None:
    lengths = copied(Speculation(31))
    assert lengths[:8] == [0, 0, 0, 0, 0, 3, 3, 7], "eight tokens must be the same first"
    assert lengths[-1] == 31
    assert len(lengths) < 20


@pytest.mark.parametrize("costs", [CPU, GPU])
@given(shares=st.lists(st.floats(0, 1), max_size=400))
def test_drafts_lose_a_small_part_at_most(costs: Costs, shares: list[float]) -> None:
    """Whatever share of each draft comes true, and however those are spread."""
    speculation, tokens = Speculation(31, costs), [5] * 80
    plain = saved = 0.0
    advance = max(ADVANCE, costs.spent(costs.least))
    for share in shares:
        drafted = len(speculation.draft(tokens, 32))
        right = int(drafted * share)
        speculation.judge(drafted, right)
        plain += 1
        saved += right - costs.spent(drafted)
        assert saved >= -advance - SHARE * plain


def test_a_text_that_is_repeated_takes_few_steps(load: Load, smollm2: Path) -> None:
    graph = load(n_predict=48, ctx_size=1024)
    context = graph.context()
    text = run(context, REPEAT)
    assert STORY[60:200].encode() in text
    told = counters(graph)
    made = told.generated_tokens
    assert made == counts(context)[1] > 32
    assert told.step_seconds.total < made / 2
    assert told.draft_tokens_accepted > made / 2
    assert told.draft_tokens >= told.draft_tokens_accepted


def test_without_drafts_each_token_takes_a_step(load: Load) -> None:
    graph = load(n_predict=24, ctx_size=1024, **OFF)
    run(graph.context(), REPEAT)
    told = counters(graph)
    assert told.draft_tokens == 0
    assert told.step_seconds.total >= 24


@pytest.mark.parametrize("model", ["tiny_llama", "tiny_gemma"])
def test_a_greedy_text_is_as_good_as_without_drafts(
    load: Load, request: pytest.FixtureRequest, model: str
) -> None:
    path = request.getfixturevalue(model)
    graph = load(path, n_predict=100, ignore_eos=True)
    context = graph.context()
    context.set_input(0, 3, SEA * 4)
    assert context.compute() is NnErrno.SUCCESS
    assert counters(graph).draft_tokens_accepted > 0
    vocabulary = graph.model.vocabulary
    prompt = vocabulary.tokenize(SEA * 4, special=True)
    tokens = [*prompt, *vocabulary.tokenize(context.output(0), special=True)]
    plain = load(path, n_predict=100, ignore_eos=True, **OFF).context()
    if run(plain, SEA * 4) != context.output(0):
        assert np.max(Greedy(path, 512).shortfall(tokens, len(prompt))) < 1e-3


def test_a_seed_makes_the_text_that_it_makes_without_drafts(load: Load, tiny_llama: Path) -> None:
    """Sampling is from the same distribution, by the same numbers."""
    keys = {"n_predict": 120, "temp": 0.5, "seed": 7, "ignore_eos": True, "top_k": 3}
    drafting, plain = load(tiny_llama, **keys), load(tiny_llama, **keys, **OFF)
    assert run(drafting.context(), SEA * 4) == run(plain.context(), SEA * 4)
    assert counters(drafting).draft_tokens > counters(drafting).draft_tokens_accepted > 0


@pytest.mark.parametrize("most", [1, 2, 3, 17, 33])
def test_no_more_is_made_than_was_asked_for(load: Load, tiny_llama: Path, most: int) -> None:
    graph = load(tiny_llama, n_predict=most, ignore_eos=True)
    context = graph.context()
    run(context, SEA * 4)
    assert counts(context)[1] == most


def test_a_context_is_filled_to_its_last_token(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, ctx_size=256, ignore_eos=True)
    context = graph.context()
    context.set_input(0, 3, SEA)
    assert context.compute() is NnErrno.CONTEXT_FULL
    assert sum(counts(context)) == 257
    assert counters(graph).draft_tokens_accepted > 0
    assert counters(graph).failed_steps == 0


def test_a_reverse_prompt_ends_within_a_draft(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, n_predict=60, ignore_eos=True)
    whole = run(graph.context(), SEA * 4)
    end = whole[40:44]
    ended = load(tiny_llama, n_predict=60, ignore_eos=True, reverse_prompt=end.decode()).context()
    text = run(ended, SEA * 4)
    assert text == whole[: whole.index(end) + len(end)]


def test_a_constrained_text_keeps_to_its_grammar(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, n_predict=80, grammar='root ::= ("abc" | "abd"){40}', temp=1.0)
    text = run(graph.context(), b"abcabcabcabc").removesuffix(b"</s>")
    assert counters(graph).draft_tokens_accepted > 0
    assert {text[at : at + 3] for at in range(0, len(text) - 2, 3)} <= {b"abc", b"abd"}


def test_what_was_drafted_wrongly_is_cut_from_the_cache(
    backend: GgmlBackend, tiny_llama: Path
) -> None:
    keys = {"temp": 0.5, "seed": 11, "threads": 1, "ctx-size": 512, "ignore-eos": True, "top-k": 3}
    prompts = [SEA * 4, SEA * 4 + b" and", SEA * 3]

    def texts(*prompts: bytes) -> list[bytes]:
        graph = backend.load(tiny_llama, Target.AUTO, json.dumps(keys | {"n-predict": 120}))
        made = [run(graph.context(), prompt) for prompt in prompts]
        told = counters(graph)
        assert told.draft_tokens > told.draft_tokens_accepted
        graph.close()
        return made

    assert texts(*prompts) == [text for prompt in prompts for text in texts(prompt)]


def test_a_memory_that_cannot_be_cut_gets_no_drafts(load: Load, tiny_mamba: Path) -> None:
    graph = load(tiny_mamba, n_predict=40, ignore_eos=True)
    run(graph.context(), SEA * 4)
    assert counters(graph).draft_tokens == 0


def test_a_guest_that_stops_reading_stops_the_drafts(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, ignore_eos=True)
    context = graph.context()
    pieces, _ = stream(context, SEA * 4, most=60)
    assert len(pieces) == 60
    while counters(graph).sequences_running:
        time.sleep(0.005)
    assert counters(graph).draft_tokens > 0
    assert counters(graph).generated_tokens <= 60 + UNREAD
    context.close()
