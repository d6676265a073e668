"""Tokens' probabilities are told where they are asked for, and biases change what is sampled."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.ggml.metadata.keys import BY_NAME
from llamaedge_host.ggml.outputs import ABILITIES_INDEX, PROBABILITIES_INDEX
from llamaedge_host.nn import NnErrno
from llamaedge_host.nn.backend import BackendError

from .conftest import FRANCE, Load, configure, run
from .test_sampling import SEA


def told(context: GgmlContext, prompt: bytes, count: int) -> list[dict[str, Any]]:
    """What is told of the first ``count`` tokens after ``prompt``."""
    context.set_input(0, 3, prompt)
    found = []
    for _ in range(count):
        assert context.compute_single() is NnErrno.SUCCESS
        found.append(json.loads(context.output_single(PROBABILITIES_INDEX)))
    return found


def test_the_likeliest_tokens_are_told_with_each(load: Load) -> None:
    context = load(n_probs=5).context()
    rows = told(context, FRANCE, 6)
    assert b"".join(bytes(row["bytes"]) for row in rows).startswith(b"The capital of France is")
    for row in rows:
        chances = [math.exp(other["logprob"]) for other in row["top"]]
        assert len(chances) == 5
        assert chances == sorted(chances, reverse=True)
        assert sum(chances) <= 1 + 1e-6
        assert row["top"][0] == {key: row[key] for key in ("id", "bytes", "logprob")}, "greedy"
    assert math.exp(rows[-1]["logprob"]) > 0.5


def test_probabilities_are_the_models_own_before_the_samplers(load: Load) -> None:
    one, other = load(n_probs=3).context(), load(n_probs=3, temp=2.0, top_k=3, seed=5).context()
    assert told(one, FRANCE, 1)[0]["top"] == told(other, FRANCE, 1)[0]["top"]


def test_probabilities_after_the_samplers_are_of_those_that_were_left(load: Load) -> None:
    keys = {"n_probs": 10, "post_sampling_probs": True, "temp": 1.0, "seed": 5}
    row = told(load(top_k=3, min_p=0.0, top_p=1.0, **keys).context(), FRANCE, 1)[0]
    chances = [math.exp(other["logprob"]) for other in row["top"]]
    assert len(chances) == 3
    assert sum(chances) == pytest.approx(1, abs=1e-5)
    greedy = told(load(**keys | {"temp": 0.0}).context(), FRANCE, 1)[0]
    assert math.exp(greedy["logprob"]) == pytest.approx(1, abs=1e-5)


def test_probabilities_of_a_constrained_text_are_told(load: Load) -> None:
    rows = told(load(n_probs=2, grammar='root ::= "Paris" " is"').context(), FRANCE, 2)
    assert b"".join(bytes(row["bytes"]) for row in rows) == b"Paris is"


def test_nothing_is_told_that_was_not_asked_for(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama).context()
    context.set_input(0, 3, SEA)
    context.compute_single()
    told = json.loads(context.output_single(PROBABILITIES_INDEX))
    assert bytes(told["bytes"]) == context.output_single(0)
    assert set(told) == {"id", "bytes"}


def test_a_bias_takes_a_token_out_or_puts_it_in(load: Load) -> None:
    context = load(n_predict=1).context()
    assert run(context, FRANCE) == b"The"
    vocabulary = load().model.vocabulary
    token = vocabulary.named("The")
    configure(context, logit_bias=f"[[{token}, null]]")
    assert run(context, FRANCE) != b"The"
    configure(context, logit_bias='[["The", null]]')
    assert run(context, FRANCE) != b"The"
    configure(context, logit_bias=f"[[{vocabulary.named('Z')}, 100]]")
    assert run(context, FRANCE) == b"Z"
    configure(context, logit_bias="")
    assert run(context, FRANCE) == b"The"


@pytest.mark.parametrize(
    "bad",
    [
        {"logit_bias": "[[99999999, 1]]"},
        {"logit_bias": "[[-1, 1]]"},
        {"logit_bias": "[[1, true]]"},
        {"logit_bias": "[1]"},
        {"logit_bias": "{}"},
        {"logit_bias": "["},
        {"logit_bias": json.dumps([[1, 1]] * 5000)},
        {"samplers": "top_k;luck"},
        {"samplers": "top_k;top_k"},
        {"dry_sequence_breakers": '[""]'},
        {"dry_sequence_breakers": '"x"'},
        {"dry_sequence_breakers": "[1]"},
    ],
    ids=str,
)
def test_sampling_that_cannot_be_is_refused(
    load: Load, tiny_llama: Path, bad: dict[str, Any]
) -> None:
    context = load(tiny_llama, n_predict=4).context()
    with pytest.raises(BackendError, match=next(iter(bad)).replace("_", "-")):
        configure(context, **bad)


def test_a_prompt_is_read_again_where_that_is_asked_for(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, n_predict=2).context()

    def cached() -> int:
        run(context, SEA)
        return int(json.loads(context.output(1))["cached_tokens"])

    cached()
    assert cached() == json.loads(context.output(1))["input_tokens"] - 1
    configure(context, cache_prompt=False)
    assert cached() == 0


def test_a_guest_is_told_what_wasmedge_lacks(load: Load, tiny_llama: Path) -> None:
    keys = json.loads(load(tiny_llama).context().output(ABILITIES_INDEX))["keys"]
    assert {"logit-bias", "n-probs", "cache-prompt"} <= set(keys) <= set(BY_NAME)
