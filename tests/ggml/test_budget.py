"""Reasoning that is ended when its budget is spent."""

from pathlib import Path
from typing import Any

import pytest

from .conftest import Load, counts, run, stream

OPEN, CLOSE = "<think>", "</think>"
PROMPT = b"the sea and the sea <think>\n"
TAGS = {"reasoning_open": OPEN, "reasoning_close": CLOSE}


def answer(load: Load, path: Path, prompt: bytes = PROMPT, **keys: Any) -> tuple[bytes, int]:
    settings = {"n_predict": 40, "ignore_eos": True} | TAGS | keys
    context = load(path, **settings).context()
    text = run(context, prompt)
    return text, counts(context)[1]


@pytest.mark.parametrize("budget", [0, 1, 7])
def test_the_tag_comes_when_the_budget_is_spent(load: Load, tiny_llama: Path, budget: int) -> None:
    free, made = answer(load, tiny_llama)
    assert CLOSE.encode() not in free
    first, _ = answer(load, tiny_llama, n_predict=budget) if budget else (b"", 0)
    text, also_made = answer(load, tiny_llama, reasoning_budget=budget)
    thought, tag, rest = text.partition(CLOSE.encode())
    assert (thought.rstrip(), bool(tag), bool(rest)) == (first.rstrip(), True, True)
    assert made == also_made == 40


def test_streams_end_it_too_and_time_and_again(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, ignore_eos=True, reasoning_budget=3, **TAGS).context()
    for _ in range(2):
        pieces, _ = stream(context, PROMPT, 20)
        text = b"".join(pieces)
        assert text.count(CLOSE.encode()) == 1
        assert not text.endswith(CLOSE.encode())


@pytest.mark.parametrize(
    ("prompt", "keys"),
    [
        (b"the sea and the sea", {"reasoning_budget": 2}),
        (PROMPT + b"yes " + CLOSE.encode(), {"reasoning_budget": 2}),
        (PROMPT, {"reasoning_budget": -1}),
        (PROMPT, {"reasoning_budget": 2, "reasoning_close": ""}),
        (PROMPT, {"reasoning_budget": 0, "grammar": "root ::= [a-z ]+"}),
    ],
    ids=str,
)
def test_nothing_is_ended_that_is_no_reasoning(
    load: Load, tiny_llama: Path, prompt: bytes, keys: dict[str, Any]
) -> None:
    other = {"grammar": keys["grammar"]} if "grammar" in keys else {}
    assert answer(load, tiny_llama, prompt, **keys) == answer(load, tiny_llama, prompt, **other)


def test_reasoning_that_the_answer_begins_is_counted_from_its_tag(
    load: Load, tiny_llama: Path
) -> None:
    """What the model says first is taken for the tag."""
    prompt = b"the sea and the sea"
    free, _ = answer(load, tiny_llama, prompt)
    start = free.decode(errors="ignore").lstrip()[:2]
    text, _ = answer(load, tiny_llama, prompt, reasoning_open=start, reasoning_budget=4)
    before = text.partition(CLOSE.encode())[0].rstrip()
    assert text.count(CLOSE.encode()) == 1
    assert free.startswith(before)
    assert len(start) < len(before) < len(free)
