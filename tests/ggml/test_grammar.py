"""Grammars: read and followed as llama.cpp does, and none of them does harm."""

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
from llamaedge_host.ggml.sampling.constraint import Constraint, Matcher
from llamaedge_host.nn import NnErrno
from llamaedge_host.nn.backend import BackendError

from .conftest import FRANCE, Load, run
from .grammars import written

GRAMMARS = 60
STEPS = 5


def matcher(vocabulary: Vocabulary, grammar: str) -> Matcher:
    return Matcher(Constraint("grammar", grammar), vocabulary)


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


def is_text(vocabulary: Vocabulary, token: int) -> bool:
    """Whether both llama.cpp and llguidance take ``token`` for the characters of its piece.

    llama.cpp writes <s> and its like where a grammar has these characters; it reads a piece up to
    a zero byte; and of [^é] it lets no character by that begins as é does.
    """
    piece = vocabulary.piece(token)
    return piece[0] < 128 and piece != b"\0" and not re.fullmatch(rb"<.+>", piece)


def test_a_text_is_followed_as_llama_cpp_follows_it(load: Load, tiny_llama: Path) -> None:
    vocabulary = load(tiny_llama).model.vocabulary
    tokens = {each for each in range(vocabulary.size) if is_text(vocabulary, each)}
    tokens |= set(vocabulary.ends)
    rng = random.Random(1)
    steps = 0
    for _ in range(GRAMMARS):
        text = written(rng)
        sampler = grammar_sampler(vocabulary, text)
        try:
            ours = matcher(vocabulary, text)
        except BackendError as error:
            assert sampler is None, (text, error)
            continue
        if sampler is None:  # it finds left recursion where there is none
            assert '""' in text or "*" in text, text
            continue
        for _ in range(STEPS):
            passed = allowed(sampler, vocabulary.size) & tokens
            mask = set(ours.allowed().tolist()) & tokens
            assert "<" in text or mask == passed, text
            for token in sorted(tokens - mask)[::9]:
                assert not ours.follows(token), text
            common = sorted(passed & mask - set(vocabulary.ends))
            if not common:
                break
            token = rng.choice(common)
            assert ours.follows(token), text
            llama.llama_sampler_accept(sampler, token)
            steps += 1
        llama.llama_sampler_free(sampler)
    assert steps > GRAMMARS


JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws     ::= | " " | "\n" [ \t]{0,20}
"""
PROGRAM = r"""
root        ::= declaration*
declaration ::= type identifier "(" parameter? ")" "{" statement* "}"
type        ::= ("int" | "char") ws
identifier  ::= [a-zA-Z_] [a-zA-Z_0-9]*
parameter   ::= type identifier
statement   ::= type? identifier ws "=" ws expression ";" | "return" ws expression ";"
expression  ::= term (("+" | "-") term)*
term        ::= identifier | [0-9]+ | "-" term | "(" ws expression ws ")"
ws          ::= [ \t\n]+
"""


@pytest.mark.parametrize(
    ("grammar", "text"),
    [
        (JSON, '{"name": "Zürich 東", "size": -1.5e3, "tags": ["a", {}, null] , "n": "\\n a"}'),
        (PROGRAM, "int f(char c){int x = -1+( c );interest = x;return f-1;}char g(){}"),
    ],
    ids=["json", "program"],
)
def test_a_longer_grammar_allows_the_tokens_that_llama_cpp_allows(
    load: Load, grammar: str, text: str
) -> None:
    vocabulary = load().model.vocabulary
    ours, sampler = matcher(vocabulary, grammar), grammar_sampler(vocabulary, grammar)
    assert sampler is not None
    special = {each for each in range(vocabulary.size) if vocabulary.piece(each)[:1] == b"<"}
    for token in vocabulary.tokenize(text.encode(), special=False):
        passed = allowed(sampler, vocabulary.size)
        differ = passed.symmetric_difference(ours.allowed().tolist())
        assert all(vocabulary.piece(each)[0] > 127 for each in differ - special)
        assert ours.follows(token)
        llama.llama_sampler_accept(sampler, token)
    assert ours.follows(vocabulary.ends[0])
    llama.llama_sampler_free(sampler)


HARMFUL = [
    ('root ::= "a"{5,2}', "cannot repeat {5,2}"),
    ('root ::= "a"{2001}', "cannot repeat"),
    ('root ::= "a"{99999999999}', "cannot repeat"),
    ("root ::= " + "(" * 10_000, "nests more than"),
    ('root ::= "a"' + "*" * 10_000, "nests more than"),
    ("root ::= #" + "x" * 2_000_000, "characters, over"),
    ('root ::= "' + "x" * 100_000 + '"', "characters and names"),
    ('root ::= ""*', "something before"),
    ('root ::= root "a"', "left recursion"),
    ('root ::= "a" one\none ::= one', "left recursion"),
    (
        "root ::= r0\n"
        + "".join(f'r{n} ::= "a" r{n + 1} | r{n * 7 % 900} "x" | root "y"\n' for n in range(900))
        + 'r900 ::= "z"',
        "too large|nest",
    ),
    (
        "root ::= r0\n" + "".join(f"r{n} ::= r{n + 1}\n" for n in range(4000)) + 'r4000 ::= "z"',
        "nest too deeply",
    ),
    (
        "root ::= r0\n"
        + "".join(f'r{n} ::= "a" r{n + 1}\n' for n in range(300))
        + 'r300 ::= "z" root?',
        "nest",
    ),
    ('root ::= "\\q"', "unknown escape"),
    ('root ::= "\\ud800"', "is no character"),
    ("root ::= [^\\x00-\\U0010FFFF]", "has no character"),
    ('root ::= "', "cannot be read"),
    ("root ::= [a", "cannot be read"),
    ("root = [a]", "cannot be read"),
    ("root ::= one", "no rule one"),
    ('one ::= "a"', "no rule root"),
    ("root ::= <no such token>", "option grammar"),
    ("root ::= <[99999999]>", "no token of the model"),
]


@pytest.mark.parametrize(("text", "why"), HARMFUL, ids=lambda value: str(value)[:30])
def test_what_cannot_be_followed_is_refused(
    load: Load, tiny_llama: Path, text: str, why: str
) -> None:
    context = load(tiny_llama, n_predict=4).context()
    with pytest.raises(BackendError, match="option grammar") as raised:
        context.set_input(1, 3, json.dumps({"grammar": text}).encode())
    assert re.search(re.escape(why) if "|" not in why else why, str(raised.value))
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT
    assert run(context, b"the sea")


LARGE = [
    'root ::= "' + "x" * 10_000 + '"{2000}',
    'root ::= ((("a"{2000}){2000}){2000}){2000}',
    "root ::= " + " | ".join(f'"{number}"' for number in range(5000)),
    "root ::= r0\n"
    + "".join(f'r{n} ::= r{n + 1} "x" | r{n + 1} "y"\n' for n in range(40))
    + 'r40 ::= "z"',
    'root ::= "a" root "b" | "a" root "c"',
    'root ::= a root "x" | "y"\na ::= b\nb ::= ""',
]


@pytest.mark.parametrize("text", LARGE, ids=lambda value: value[:30])
def test_a_large_grammar_is_followed(load: Load, tiny_llama: Path, text: str) -> None:
    context = load(tiny_llama, grammar=text, n_predict=20).context()
    assert run(context, b"the sea")


ENDLESS = [
    "root ::= " + '"a"{0,2000} ' * 2000,
    'root ::= ((("a"{0,2000}){0,2000}){0,2000}){0,2000}',
    'root ::= root root root | "a" | ""',
    'root ::= (root "a" | "a" root | root root){0,2000}',
]


@pytest.mark.parametrize("text", ENDLESS, ids=lambda value: value[:30])
def test_too_many_ways_to_read_a_text_are_an_error(load: Load, tiny_llama: Path, text: str) -> None:
    vocabulary = load(tiny_llama).model.vocabulary
    ours = matcher(vocabulary, text)
    token = vocabulary.tokenize(b"\x07a", special=False)[-1]
    steps = 0
    while ours.allowed().size and ours.follows(token) and steps < 2000:
        steps += 1
    assert re.search("too (many|complex)|max is", ours.failure)


@pytest.mark.parametrize("how", ["whole", "single"])
def test_a_text_that_cannot_go_on_ends(load: Load, tiny_llama: Path, how: str) -> None:
    context = load(tiny_llama, n_predict=100).context()
    text = 'root ::= "ab" ' + '"a"{0,2000} ' * 2000 + '"!"'
    with pytest.raises(BackendError, match=r"too (many|complex)|max is") as raised:
        context.set_input(1, 3, json.dumps({"grammar": text}).encode())
        context.set_input(0, 3, b"the sea")
        if how == "whole":
            context.compute()
        while context.compute_single() is NnErrno.SUCCESS:
            pass
    assert raised.value.errno == NnErrno.INVALID_ARGUMENT
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


def test_a_seed_repeats(load: Load) -> None:
    contexts = [load(grammar=JSON, temp=2.0, seed=7, n_predict=20).context() for _ in range(2)]
    assert len({run(context, FRANCE) for context in contexts}) == 1
