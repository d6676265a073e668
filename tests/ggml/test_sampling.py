"""Every sampling key has an effect; grammars and schemas bind; none of them can do harm."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llamaedge_host.nn import NnErrno
from llamaedge_host.nn.backend import BackendError

from .conftest import FRANCE, Load, configure, run, stream

SEA = b"the sea and the sea and the sea and a"


FREE: dict[str, Any] = {
    "temp": 3.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "seed": 7,
    "n_predict": 40,
    "ignore_eos": True,
}
"""Nothing is cut, so that every key that cuts shows."""

EFFECTS: list[dict[str, Any]] = [
    {"temp": 0.0},
    {"temp": 1.0},
    {"top_k": 2},
    {"top_p": 0.3},
    {"min_p": 0.5},
    {"typ_p": 0.2},
    {"xtc_probability": 1.0, "xtc_threshold": 0.001},
    {"dynatemp_range": 2.0},
    {"dynatemp_range": 2.0, "dynatemp_exponent": 3.0},
    {"repeat_penalty": 5.0},
    {"repeat_penalty": 5.0, "last_n_penalty": 2},
    {"presence_penalty": 5.0},
    {"frequency_penalty": 5.0},
    {"mirostat": 1},
    {"mirostat": 2},
    {"mirostat": 2, "mirostat_eta": 0.9},
    {"mirostat": 2, "mirostat_tau": 1.0},
    {"top_n_sigma": 0.5},
    {"samplers": "top_k;temperature", "top_k": 2},
    {"top_k": 2, "samplers": "temperature"},
    {"presence_penalty": -5.0},
    {"frequency_penalty": -5.0},
    {"logit_bias": '[["s", 50]]'},
    {"seed": 8},
    {"top_p": 0.01, "min_keep": 30},
]


@pytest.mark.parametrize("change", EFFECTS, ids=str)
def test_a_sampling_key_changes_the_text(
    load: Load, tiny_llama: Path, change: dict[str, Any]
) -> None:
    context = load(tiny_llama, **FREE).context()
    before = run(context, SEA)
    assert run(context, SEA) == before, "a seed repeats"
    keys = dict(change)
    while keys:
        configure(context, **keys)
        after = run(context, SEA)
        last = keys.popitem()
        if keys:  # the last key must matter beside the ones before it
            configure(context, **FREE | {last[0]: default(last[0])} | keys)
            assert run(context, SEA) != after
        else:
            assert after != before


def default(name: str) -> Any:
    from llamaedge_host.ggml.metadata.parse import DEFAULTS

    return DEFAULTS[name.replace("_", "-")]


def test_dry_breaks_a_loop(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, ignore_eos=True, n_predict=80).context()
    text = run(context, SEA)
    configure(context, dry_multipier=50.0)
    dry = run(context, SEA)
    assert dry != text
    for off in ({"dry_base": 0.5}, {"dry_base": 1.75, "dry_last_n_penalty": 0}):
        configure(context, **off)
        assert run(context, SEA) == text
    configure(context, dry_last_n_penalty=-1)
    assert run(context, SEA) == dry
    configure(context, dry_allowed_length=200)
    assert run(context, SEA) == text
    configure(context, dry_allowed_length=2, dry_sequence_breakers='["a", " ", "e"]')
    assert run(context, SEA) != dry


def test_a_random_seed_is_another_each_time(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, **FREE | {"seed": -1}).context()
    assert len({run(context, SEA) for _ in range(4)}) > 1


def test_a_seed_repeats_in_other_contexts_and_batches(load: Load, tiny_llama: Path) -> None:
    # what else is in a batch changes how llama.cpp rounds, much so in halves of floats
    precise = {"cache_type_k": 0, "cache_type_v": 0, "flash_attn": "off"}
    graph = load(tiny_llama, **FREE | {"temp": 1.0} | precise)
    contexts = [graph.context() for _ in range(4)]
    prompts = [SEA[:size] for size in (1, 9, 20, 30)]
    alone = list(map(run, contexts, prompts))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, contexts, prompts[::-1]))
    assert together == alone[::-1]
    assert len(set(alone)) == 4


def test_sampling_follows_the_probabilities(load: Load) -> None:
    context = load(temp=0.8, n_predict=1).context()
    seen = Counter(run(context, FRANCE) for _ in range(40))
    assert seen[b"The"] > 20
    assert len(seen) > 1


@pytest.mark.parametrize("how", ["whole", "single"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_grammar_binds(load: Load, how: str, temperature: float) -> None:
    context = load(grammar='root ::= ("yes" | "no") "!"', temp=temperature).context()
    if how == "whole":
        text = run(context, FRANCE).removesuffix(b"<|im_end|>")
    else:
        pieces, errno = stream(context, FRANCE)
        assert errno is NnErrno.END_OF_SEQUENCE
        text = b"".join(pieces)
    assert text in (b"yes!", b"no!")


@pytest.mark.parametrize("name", ["json-schema", "json_schema"])
def test_a_json_schema_binds(load: Load, name: str) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}, "big": {"type": "boolean"}},
        "required": ["city", "big"],
    }
    context = load(grammar='root ::= "no"', n_predict=60).context()
    context.set_input(1, 3, json.dumps({name: json.dumps(schema)}).encode())
    said = json.loads(run(context, FRANCE).removesuffix(b"<|im_end|>"))
    assert set(said) == {"city", "big"}
    assert isinstance(said["big"], bool)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"grammar": "root ::= ("}, "grammar"),
    ({"grammar": "nothing"}, "grammar"),
    ({"grammar": 'start ::= "a"'}, "grammar"),
    ({"grammar": "root ::= other"}, "grammar"),
    ({"grammar": 'root ::= root "a"'}, "grammar"),
    ({"grammar": "root ::= " + "(" * 100_000}, "grammar"),
    ({"grammar": "root ::= #" + "x" * 2_000_000}, "grammar"),
    ({"json_schema": "{"}, "json-schema"),
    ({"json_schema": '{"type": "nothing"}'}, "json-schema"),
    ({"json_schema": '{"$ref": "https://example.com/x"}'}, "json-schema"),
    ({"json_schema": '{"$ref": "#"}'}, "json-schema"),
    ({"json_schema": '{"type":"array","items":' * 500 + "{}" + "}" * 500}, "json-schema"),
]


@pytest.mark.parametrize(("metadata", "named"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_grammar_is_refused_and_nothing_changes(
    load: Load, tiny_llama: Path, metadata: dict[str, Any], named: str
) -> None:
    context = load(tiny_llama, n_predict=8).context()
    before = run(context, SEA)
    with pytest.raises(BackendError, match=named) as raised:
        context.set_input(1, 3, json.dumps(metadata | {"temp": 2.0, "n-predict": 1}).encode())
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT
    assert len(str(raised.value)) < 400
    assert run(context, SEA) == before
    with pytest.raises(BackendError, match=named):
        load(tiny_llama, **metadata)


def test_a_grammar_that_ends_ends_the_text(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, grammar='root ::= "a"', ignore_eos=True, n_predict=20).context()
    context.set_input(0, 3, SEA)
    context.compute()
    assert context.output(0).startswith(b"a")


def test_a_grammar_of_many_repetitions_is_harmless(load: Load, tiny_llama: Path) -> None:
    context = load(tiny_llama, grammar="root ::= [a-z]{1,2000000000}", n_predict=8).context()
    assert run(context, SEA).removesuffix(b"<|im_end|>").decode().islower()


def test_weights_that_are_no_numbers_are_an_error(
    load: Load, tiny_llama: Path, tmp_path: Path
) -> None:
    content = bytearray(tiny_llama.read_bytes())
    content[-4000:] = b"\xff" * 4000
    path = tmp_path / "nan.gguf"
    path.write_bytes(content)
    context = load(path, n_predict=4).context()
    context.set_input(0, 3, SEA)
    with pytest.raises(BackendError, match="weights are damaged") as raised:
        context.compute()
    assert raised.value.errno == NnErrno.RUNTIME_ERROR
