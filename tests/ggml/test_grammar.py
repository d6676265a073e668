"""Grammars: read and followed as llama.cpp does, and none of them does harm."""

import copy
import ctypes
import json
import math
import random
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llamaedge_host.ggml.llama.library import llama
from llamaedge_host.ggml.llama.vocabulary import Vocabulary
from llamaedge_host.ggml.sampling.gbnf import GrammarError
from llamaedge_host.ggml.sampling.grammar import Grammar, Reading
from llamaedge_host.ggml.sampling.schema import grammar_of_schema
from llamaedge_host.nn import ErrNo
from llamaedge_host.nn.backend import BackendError

from .conftest import FRANCE, Load, run
from .grammars import written

GRAMMARS = 100
STEPS = 5


def grammar_sampler(vocabulary: Vocabulary, text: str) -> ctypes.c_void_p | None:
    sampler: ctypes.c_void_p | None = llama.llama_sampler_init_grammar(
        vocabulary.pointer, text.encode(), b"root"
    )
    return sampler or None


def allowed(sampler: ctypes.c_void_p, size: int) -> set[int]:
    """Those of ``size`` tokens that llama.cpp's grammar lets pass."""
    rows = (llama.llama_token_data * size)(*((token, 0.0, 0.0) for token in range(size)))
    array = llama.llama_token_data_array(rows, size, -1, False)
    llama.llama_sampler_apply(sampler, ctypes.byref(array))
    return {row.id for row in rows if row.logit != -math.inf}


def test_a_text_is_followed_as_llama_cpp_follows_it(load: Load, tiny_llama: Path) -> None:
    vocabulary = load(tiny_llama).model.vocabulary
    piece = vocabulary.piece
    rng = random.Random(1)
    steps = 0
    for _ in range(GRAMMARS):
        text = written(rng)
        sampler = grammar_sampler(vocabulary, text)
        try:
            reading = Reading(Grammar(text), vocabulary.named)
        except GrammarError as error:
            assert sampler is None or "too many ways" in str(error), text
            continue
        if sampler is None:  # it finds left recursion where there is none
            assert '""' in text or "*" in text, text
            continue
        for _ in range(STEPS):
            passed = allowed(sampler, vocabulary.size)
            ours = set(reading.allowed(vocabulary).tolist())
            for token in ours - passed:  # of [^é] it lets no character by that begins as é does
                assert "<" in text or piece(token)[0] > 127, (text, token)
            for token in passed - ours:  # on which llama.cpp would end the process, or no UTF-8
                assert "<" in text or piece(token)[0] > 0xF4, (text, token)
            others = [each for each in range(vocabulary.size) if each not in vocabulary.ends]
            accepted = {each for each in others if copy.copy(reading).accept(each, piece(each))}
            assert accepted == ours - set(vocabulary.ends), text
            if not ours & passed & accepted:
                break
            token = rng.choice(sorted(ours & passed & accepted))
            assert reading.accept(token, piece(token))
            llama.llama_sampler_accept(sampler, token)
            steps += 1
        llama.llama_sampler_free(sampler)
    assert steps > GRAMMARS


PLACE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "size": {"type": "number"},
        "tags": {"type": "array", "items": {"enum": ["large", "larger"]}},
        "note": {"type": "string"},
    },
    "required": ["name", "size", "tags"],
}


def test_a_schema_allows_the_tokens_that_llama_cpp_allows(load: Load) -> None:
    vocabulary = load().model.vocabulary
    text = grammar_of_schema(json.dumps(PLACE))
    sampler, reading = grammar_sampler(vocabulary, text), Reading(Grammar(text), vocabulary.named)
    assert sampler is not None
    written = '{"name": "Zürich 東", "size": -1.5e3, "tags": ["larger"], "note": "\\n a  b"}'
    for token in vocabulary.tokenize(written.encode(), special=False):
        assert set(reading.allowed(vocabulary).tolist()) == allowed(sampler, vocabulary.size)
        assert reading.accept(token, vocabulary.piece(token))
        llama.llama_sampler_accept(sampler, token)
    assert reading.may_end
    llama.llama_sampler_free(sampler)


HARMFUL = [
    ('root ::= "a"{5,2}', "cannot repeat {5,2}"),
    ('root ::= "a"{2001}', "cannot repeat"),
    ('root ::= "a"{99999999999}', "cannot repeat"),
    ('root ::= "' + "x" * 10_000 + '"{2000}', "more than"),
    ("root ::= " + '"a"{0,2000} ' * 2000, "more than"),
    ("root ::= " + "(" * 100_000, "nests more than 200"),
    ("root ::= #" + "x" * 2_000_000, "characters, over"),
    ('root ::= ""*', "something before"),
    ('root ::= root "a" | "b"', "left recursion"),
    ('root ::= "a" one\none ::= one', "left recursion"),
    ('root ::= a root "x" | "y"\na ::= b\nb ::= ""', "too many ways"),
    ("root ::= " + " | ".join(f'"{number}"' for number in range(10_000)), "too many ways"),
    (
        "root ::= r0\n"
        + "".join(f'r{n} ::= r{n + 1} "x" | r{n + 1} "y"\n' for n in range(40))
        + 'r40 ::= "z"',
        "too many ways",
    ),
    (
        "root ::= r0\n" + "".join(f"r{n} ::= r{n + 1}\n" for n in range(12_000)) + 'r12000 ::= "z"',
        "too many ways",
    ),
    (
        "root ::= r0\n" + "".join(f"r{n} ::= r{n + 1}\n" for n in range(4000)) + 'r4000 ::= "z"',
        "begin with one another",
    ),
    ('root ::= "\\q"', "unknown escape"),
    ('root ::= "', "cannot be read"),
    ("root ::= [a", "cannot be read"),
    ("root = [a]", "cannot be read"),
    ("root ::= one", "no rule one"),
    ('one ::= "a"', "no rule root"),
    ("root ::= <no such token>", "grammar option"),
]


@pytest.mark.parametrize(("text", "why"), HARMFUL, ids=lambda value: str(value)[:30])
def test_what_would_fill_the_memory_is_refused(
    load: Load, tiny_llama: Path, text: str, why: str
) -> None:
    context = load(tiny_llama, n_predict=4).context()
    with pytest.raises(BackendError, match="grammar option") as raised:
        context.set_input(1, 3, json.dumps({"grammar": text}).encode())
    assert why in str(raised.value)
    assert raised.value.errno == ErrNo.INVALID_ARGUMENT
    assert run(context, b"the sea")


@pytest.mark.parametrize("how", ["whole", "single"])
def test_a_text_that_can_be_read_in_too_many_ways_ends(
    load: Load, tiny_llama: Path, how: str
) -> None:
    text = 'root ::= "a" root "b" | "a" root "c"'
    context = load(tiny_llama, grammar=text, n_predict=100).context()
    context.set_input(0, 3, b"the sea")
    with pytest.raises(BackendError, match="no token can follow by the grammar") as raised:
        while how == "whole" or context.compute_single() is ErrNo.SUCCESS:
            if how == "whole":
                context.compute()
    assert raised.value.errno == ErrNo.RUNTIME_ERROR
    assert context.output(0) == b"a" * 11
    context.set_input(1, 3, b'{"grammar": ""}')
    assert run(context, b"the sea")


def test_a_grammar_of_tokens_binds(load: Load) -> None:
    context = load(grammar='root ::= <|im_start|> [a-z]+ "." !<|im_end|>', n_predict=40).context()
    assert re.fullmatch(rb"<\|im_start\|>[a-z]+\..+", run(context, FRANCE))


def test_no_token_may_begin_within_another(load: Load) -> None:
    """llama.cpp lets "The" by for "T" and another token, and ends the process on taking it."""
    context = load(grammar='root ::= "T" !<[0]> "."', n_predict=4).context()
    assert re.fullmatch(rb"T.+", run(context, FRANCE), re.DOTALL)
    assert not run(context, FRANCE).startswith(b"The")


def test_one_of_a_thousand_words_is_chosen(load: Load) -> None:
    words = [f"city number {number}" for number in range(1000)]
    context = load(json_schema=json.dumps({"enum": words}), temp=1.0).context()
    assert json.loads(run(context, FRANCE).removesuffix(b"<|im_end|>")) in words


AMBIGUOUS: list[tuple[dict[str, Any], bytes]] = [
    ({"grammar": 'root ::= "-"{3} ("-"{1,3}){1,30} "x"'}, rb"-{4,}x?"),
    (
        {"json_schema": json.dumps({"type": "string", "pattern": "^-{3}(-{1,3}){1,30}x$"})},
        rb'"-{4,}(x"?)?',
    ),
    ({"grammar": 'root ::= ("-" | "-"+ | ("-"+)+)+ "x"'}, rb"-+x?"),
    ({"grammar": 'root ::= (([a-z ]+)+ [A-Za-z,. ]*)+ "!"'}, rb"[A-Za-z,. ]+!?"),
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("metadata", "follows"), AMBIGUOUS, ids=str)
def test_many_ways_to_read_a_long_token_hold_nothing_up(
    load: Load, metadata: dict[str, Any], follows: bytes
) -> None:
    """llama.cpp follows each of them to its end, which takes hours."""
    ambiguous = load(**metadata, n_predict=12).context()
    plain = load(json_schema=json.dumps(PLACE), n_predict=40).context()
    alone = run(plain, FRANCE)
    with ThreadPoolExecutor(2) as pool:
        texts = [pool.submit(run, context, FRANCE) for context in (ambiguous, plain)]
        text, beside = (each.result().removesuffix(b"<|im_end|>") for each in texts)
    assert re.fullmatch(follows, text)
    assert beside == alone.removesuffix(b"<|im_end|>")


def test_a_seed_repeats_where_longer_tokens_are_left_out(load: Load) -> None:
    text = "root ::= " + ".? " * 1000
    contexts = [load(grammar=text, temp=2.0, seed=7, n_predict=6).context() for _ in range(2)]
    assert len({run(context, FRANCE) for context in contexts}) == 1
