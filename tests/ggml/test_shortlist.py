"""The few tokens that samplers look at: the same ones are chosen as if they saw all."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from llamaedge_host.ggml.llama.model import Models
from llamaedge_host.ggml.llama.vocabulary import Vocabulary
from llamaedge_host.ggml.metadata.parse import Settings
from llamaedge_host.ggml.sampling import sampler
from llamaedge_host.ggml.sampling.chain import Sampling
from llamaedge_host.ggml.sampling.sampler import Sampler
from llamaedge_host.ggml.sampling.shortlist import WORTH, Shortlist, likeliest
from llamaedge_host.nn import Target

from ..models import sized

TOKENS = 6000
ALIKE: list[dict[str, Any]] = [
    {"temp": 0.0},
    {"temp": 0.0, "repeat-penalty": 1.5},
    {"temp": 0.0, "presence-penalty": -4.0, "last-n-penalty": 3},
    {"temp": 0.0, "logit-bias": "[[17, 9.5], [30, -50], [31, null]]"},
    {"temp": 1.0},
    {"temp": 1.5, "repeat-penalty": 1.3, "frequency-penalty": 0.5},
    {"temp": 1.5, "presence-penalty": -3.0, "top-k": 3},
    {"temp": 1.0, "min-p": 0.1, "typ-p": 0.7, "xtc-probability": 0.5},
    {"temp": 1.0, "logit-bias": "[[17, 9.5], [30, -50]]", "top-k": 10},
    {"temp": 1.0, "samplers": "penalties;top_k;temperature", "repeat-penalty": 2.0},
    {"temp": 0.0, "n-probs": 5, "post-sampling-probs": True},
]
WHOLE: list[dict[str, Any]] = [
    {"top-k": 0},
    {"mirostat": 2},
    {"dry-multipier": 0.8},
    {"top-n-sigma": 1.0},
    {"samplers": "temperature;top_k"},
    {"samplers": "min_p;top_k"},
    {"samplers": "temperature"},
]


@pytest.fixture(scope="module")
def vocabulary(folder: Path) -> Iterator[Vocabulary]:
    path = sized.llama(folder / "wide.gguf", width=64, layers=1, feed=64, vocabulary=TOKENS)
    with closing(Models().hollow(path, Settings(), Target.CPU)) as hollow:
        yield hollow.vocabulary


def texts(
    vocabulary: Vocabulary, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[int | None], list[int]]:
    """What a sampler makes of some logits, and how many tokens it looked at each time."""
    random = np.random.default_rng(5)
    rows = (random.standard_normal((40, TOKENS)) * 3).astype(np.float32)
    rows[:, 40:80] += 6.0
    monkeypatch.setattr(sampler, "logits", lambda context, row, size: rows[row])
    asked = Settings().with_changes({"seed": 3} | keys)
    made = Sampler(vocabulary, Sampling.of(asked, vocabulary, 512))
    seen: list[int] = []
    choose = made._choose

    def counted(candidates: Any) -> int:
        seen.append(candidates.array.size)
        return choose(candidates)

    monkeypatch.setattr(made, "_choose", counted)
    tokens = [made.sample(None, row) for row in range(len(rows))]  # type: ignore[arg-type]
    made.close()
    return tokens, seen


@pytest.mark.parametrize("keys", ALIKE, ids=str)
def test_a_token_is_chosen_as_if_all_had_been_seen(
    vocabulary: Vocabulary, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    few, seen = texts(vocabulary, keys, monkeypatch)
    assert max(seen, default=1) < TOKENS / WORTH  # none if there was but one
    monkeypatch.setattr(Shortlist, "of", lambda sampling: None)
    every, seen = texts(vocabulary, keys, monkeypatch)
    assert min(seen) == TOKENS
    assert few == every
    assert len(set(few)) > 1


@pytest.mark.parametrize("keys", WHOLE, ids=str)
def test_samplers_that_need_all_tokens_see_all(
    vocabulary: Vocabulary, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert min(texts(vocabulary, {"temp": 1.0} | keys, monkeypatch)[1]) == TOKENS


@settings(max_examples=200, deadline=None)
@given(
    arrays.arrays(np.float32, st.integers(1, 300), elements=st.floats(-9, 9, width=32)),
    st.integers(1, 40),
)
def test_the_largest_are_among_those_found(values: np.ndarray[Any, Any], count: int) -> None:
    found = likeliest(values, min(count, len(values)))
    assert sorted(found) == list(found)
    left = np.delete(values, found)
    most = np.sort(values)[::-1][: min(count, len(values))]
    assert len(found) >= len(most)
    assert not left.size or left.max() <= most[-1]


def test_logits_that_are_no_numbers_are_left_to_the_samplers() -> None:
    shortlist = Shortlist(1, frozenset(), 0)
    assert shortlist.of_values(np.full(1000, np.nan, dtype=np.float32)) is None
    assert Shortlist(5, frozenset(), 0).of_values(np.full(1000, np.nan, dtype=np.float32)) is None
    assert shortlist.only(np.full(1000, np.nan, dtype=np.float32)) is None
    assert shortlist.only(np.full(1000, -np.inf, dtype=np.float32)) is None


def test_one_token_is_left_where_it_is_the_likeliest_as_the_model_says_it() -> None:
    values = np.array([0, 3, 3, 1], dtype=np.float32)
    assert Shortlist(1, frozenset(), 0).only(values) == 1
    assert Shortlist(2, frozenset(), 0).only(values) is None
    assert Shortlist(1, frozenset({0}), 0).only(values) is None
    penalised = Shortlist(1, frozenset(), 5)
    assert penalised.only(values) == 1
    penalised.made(1)
    assert penalised.only(values) is None
