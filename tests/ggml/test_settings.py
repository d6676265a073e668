"""Settings of a computation are its own: no context changes what another one computes."""

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamaedge_host.ggml.context import GgmlContext
from llamaedge_host.nn import NnErrno

from .conftest import Load, run

SEA = b"the sea and the sea"
LOADED: dict[str, Any] = {"temp": 1.0, "top_k": 0, "min_p": 0.0, "n_predict": 6, "seed": 7}
REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 3),
        "temp": st.sampled_from([0.0, 0.5, 3.0]),
        "top-k": st.sampled_from([0, 1, 5]),
        "top-p": st.sampled_from([0.1, 1.0]),
        "min-p": st.sampled_from([0.0, 1.0]),
        "typ-p": st.sampled_from([0.2, 1.0]),
        "repeat-penalty": st.sampled_from([1.0, 5.0]),
        "presence-penalty": st.sampled_from([0.0, 5.0]),
        "mirostat": st.integers(0, 2),
        "grammar": st.sampled_from(["", 'root ::= "z"{9}']),
        "json-schema": st.sampled_from(["", '{"const": 1}']),
        "ignore-eos": st.booleans(),
        "n-predict": st.integers(1, 6),
        "reverse-prompt": st.sampled_from(["", "a"]),
        "stream-stdout": st.booleans(),
        "tts-output-file": st.just("elsewhere.wav"),
        "embd-normalize": st.integers(-1, 3),
    },
)


def configure(context: GgmlContext, request: dict[str, Any]) -> None:
    context.set_input(1, 3, json.dumps(request).encode())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(REQUEST, min_size=2, max_size=5))
def test_a_context_answers_as_on_a_fresh_graph(
    load: Load, tiny_llama: Path, requests: list[dict[str, Any]]
) -> None:
    shared = load(tiny_llama, **LOADED)
    contexts = [shared.context() for _ in requests]
    for context, request in zip(contexts, requests, strict=True):
        configure(context, request)
    plain = shared.context()
    fresh = load(tiny_llama, **LOADED)
    expected = fresh.context()
    assert run(plain, SEA) == run(expected, SEA)
    for context, request in zip(contexts, requests, strict=True):
        expected = fresh.context()
        configure(expected, request)
        assert run(context, SEA) == run(expected, SEA)


def test_unseeded_contexts_differ_whatever_another_one_was_told(
    load: Load, tiny_llama: Path
) -> None:
    graph = load(tiny_llama, **LOADED | {"seed": -1, "n_predict": 30, "ignore_eos": True})
    seeded, plain = graph.context(), graph.context()
    configure(seeded, {"seed": 5, "top-k": 40})
    assert run(seeded, SEA) == run(seeded, SEA)
    texts = [run(context, SEA) for context in (plain, graph.context(), plain, graph.context())]
    assert len(set(texts)) == len(texts)
    configure(seeded, {"seed": -1})
    assert run(seeded, SEA) != run(seeded, SEA)


def test_complete_settings_leave_nothing_of_the_request_before(
    load: Load, tiny_llama: Path
) -> None:
    context = load(tiny_llama, **LOADED).context()
    plain = {"seed": 7, "temp": 1.0, "top-k": 0, "grammar": "", "json-schema": ""}
    configure(context, plain)
    text = run(context, SEA)
    configure(context, plain | {"seed": 8, "grammar": 'root ::= "z"{9}'})
    assert run(context, SEA) == b"zzzzzz"
    configure(context, plain)
    assert run(context, SEA) == text


def test_what_sets_a_model_up_stays_the_graphs(load: Load, tiny_llama: Path) -> None:
    graph = load(tiny_llama, n_predict=1)
    one, other = graph.context(), graph.context()
    configure(one, {"embedding": True})
    other.set_input(0, 3, SEA)
    assert other.compute() is NnErrno.SUCCESS
    assert json.loads(other.output(0))["n_embedding"] == 64
