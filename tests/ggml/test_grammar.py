"""Grammars: read and followed as llama.cpp does, and none of them does harm."""

import copy
import ctypes
import json
import math
import random
import re
from pathlib import Path

import pytest

from llamaedge_host.ggml.gbnf import GrammarError
from llamaedge_host.ggml.grammar import Grammar, Reading
from llamaedge_host.ggml.library import llama
from llamaedge_host.ggml.vocabulary import Vocabulary
from llamaedge_host.nn import ErrNo
from llamaedge_host.nn.backend import BackendError

from .conftest import FRANCE, Load, run
from .grammars import written

GRAMMARS = 100
STEPS = 5
TOKENS = 60


def grammar_sampler(vocabulary: Vocabulary, text: str) -> ctypes.c_void_p | None:
    sampler: ctypes.c_void_p | None = llama.llama_sampler_init_grammar(
        vocabulary.pointer, text.encode(), b"root"
    )
    return sampler or None


def allowed(sampler: ctypes.c_void_p, tokens: list[int]) -> set[int]:
    """Those of ``tokens`` that llama.cpp's grammar lets pass."""
    rows = (llama.llama_token_data * len(tokens))(*((token, 0.0, 0.0) for token in tokens))
    array = llama.llama_token_data_array(rows, len(tokens), -1, False)
    llama.llama_sampler_apply(sampler, ctypes.byref(array))
    return {row.id for row in rows if row.logit != -math.inf}


def test_a_text_is_followed_as_llama_cpp_follows_it(load: Load, tiny_llama: Path) -> None:
    vocabulary = load(tiny_llama).model.vocabulary
    piece = vocabulary.piece
    ends = [token for token in range(vocabulary.size) if vocabulary.is_end(token)]
    others = [token for token in range(vocabulary.size) if piece(token) and token not in ends]
    rng = random.Random(1)
    steps = 0
    for _ in range(GRAMMARS):
        text = written(rng)
        sampler = grammar_sampler(vocabulary, text)
        try:
            reading = Reading(Grammar(text), vocabulary.is_named)
        except GrammarError as error:
            assert sampler is None or "too many ways" in str(error), text
            continue
        assert sampler is not None, text
        for _ in range(STEPS):
            tokens = rng.sample(others, TOKENS)
            passed = allowed(sampler, [ends[0], *tokens])
            ours = {each for each in tokens if copy.copy(reading).accept(each, piece(each))}
            assert reading.may_end == (ends[0] in passed), text
            for token in ours - passed:  # a part of a character, which llama.cpp looks into
                assert piece(token)[0] > 127 or piece(token) == b"\0", (text, token)
            for token in passed - ours - {ends[0]}:  # on which llama.cpp would end the process
                assert "<" in text, (text, token)
            for token in passed - {ends[0]}:
                assert reading.leads >> piece(token)[0] & 1, (text, token)
            if not ours & passed:
                break
            token = rng.choice(sorted(ours & passed))
            assert reading.accept(token, piece(token))
            llama.llama_sampler_accept(sampler, token)
            steps += 1
        llama.llama_sampler_free(sampler)
    assert steps > GRAMMARS


HARMFUL = [
    ('root ::= "a"{5,2}', "cannot repeat {5,2}"),
    ('root ::= "a"{2001}', "cannot repeat"),
    ('root ::= "a"{99999999999}', "cannot repeat"),
    ('root ::= "' + "x" * 10_000 + '"{2000}', "more than"),
    ("root ::= " + '"a"{0,2000} ' * 2000, "more than"),
    ("root ::= " + "(" * 100_000, "nests more than 200"),
    ("root ::= #" + "x" * 2_000_000, "characters, over"),
    ('root ::= ""*', "something before"),
    ('root ::= ("")*', "left recursion"),
    ('root ::= ("" | "a")*', "left recursion"),
    ('root ::= root "a" | "b"', "left recursion"),
    ('root ::= a root "x" | "y"\na ::= b\nb ::= ""', "too many ways"),
    ("root ::= " + " | ".join(f'"{number}"' for number in range(10_000)), "too many ways"),
    (
        "root ::= r0\n"
        + "".join(f'r{n} ::= r{n + 1} "x" | r{n + 1} "y"\n' for n in range(40))
        + 'r40 ::= "z"',
        "begin with one another",
    ),
    (
        "root ::= r0\n" + "".join(f"r{n} ::= r{n + 1}\n" for n in range(12_000)) + 'r12000 ::= "z"',
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
