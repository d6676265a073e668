"""JSON schemas as grammars: what follows them, what does not, and which are refused."""

import json
from typing import Any

import pytest

from llamaedge_host.ggml.sampling.gbnf import GrammarError
from llamaedge_host.ggml.sampling.grammar import Grammar, Reading
from llamaedge_host.ggml.sampling.schema import grammar_of_schema


def follows(schema: Any, text: str) -> bool:
    """Whether ``text`` can be written by the grammar of ``schema``."""
    grammar = Grammar(grammar_of_schema(json.dumps(schema)))
    reading = Reading(grammar, lambda name: -1)
    return reading.accept(-1, text.encode()) and reading.may_end


TREE = {
    "$defs": {
        "tree": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "below": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
            },
            "required": ["value"],
        }
    },
    "$ref": "#/$defs/tree",
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "number"}},
    "required": ["name"],
}
CASES: list[tuple[Any, list[str], list[str]]] = [
    (PERSON, ['{"name": "é", "age": -1.5e3}', '{"name": ""}'], ['{"age": 1}', '{"name": 1}', ""]),
    (TREE, ['{"value": 1}', '{"value": 1, "below": [{"value": 22}]}'], ['{"below": []}', "1"]),
    ({"enum": ['a "b"', "c\\d", "é", 1, None]}, ['"a \\"b\\""', '"c\\\\d"', '"é"', "1"], ['"e"']),
    ({"const": {"a": ["\n"]}}, ['{"a": ["\\n"]}'], ['{"a": ["\n"]}']),
    ({"type": "string"}, ['"a\\n\\u00e9 "'], ['"\n"', '"\\q"', '"', '"""']),
    ({"type": "string", "maxLength": 300}, ['""', f'"{"x" * 300}"'], [f'"{"x" * 301}"']),
    ({"type": "string", "minLength": 2}, ['"ab"', f'"{"x" * 3000}"'], ['"a"']),
    ({"type": "string", "maxLength": 10**9}, [f'"{"x" * 3000}"'], ["1"]),
    ({"type": "string", "pattern": "^[a-c]{2,3}$"}, ['"ab"', '"abc"'], ['"a"', '"abcc"', '"ad"']),
    ({"type": "string", "format": "date"}, ['"2024-02-29"'], ['"2024-13-01"']),
    ({"type": "array", "items": {"type": "null"}}, ["[]", "[null, null]"], ["[1]", "[null,]"]),
    ({"items": {"type": "null"}, "minItems": 2, "maxItems": 3}, ["[null, null]"], ["[null]"]),
    ({"type": "array", "items": {}, "maxItems": 0}, ["[]"], ["[1]"]),
    ({"items": {"type": "integer"}, "maxItems": 400}, [str([1] * 400)], [str([1] * 401)]),
    ({"type": ["integer", "null"]}, ["12", "null"], ["1.5", '"a"']),
    ({"anyOf": [{"type": "boolean"}, {"const": "x"}]}, ["true", '"x"'], ["1"]),
    ({}, ['{"a": [1, "b", {}]}'], ["[1]"]),
    ({"properties": {'q"\\': {"type": "null"}}}, ['{"q\\"\\\\": null}', "{}"], ['{"q": null}']),
]


@pytest.mark.parametrize(("schema", "good", "bad"), CASES, ids=lambda value: str(value)[:30])
def test_a_text_follows_its_schema(schema: Any, good: list[str], bad: list[str]) -> None:
    for text in good:
        assert follows(schema, text), text
    for text in bad:
        assert not follows(schema, text), text


DEEP: Any = {}
for _ in range(300):
    DEEP = {"type": "object", "properties": {"a": DEEP}}
REFUSED: list[tuple[Any, str]] = [
    ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "left recursion|no rule"),
    ({"$ref": "#/nothing"}, "nothing"),
    ({"$ref": "https://example.com/a.json"}, "remote schemas is not allowed"),
    ({"$ref": "file:///etc/passwd"}, "Unsupported ref"),
    ({"type": "nothing"}, "nothing"),
    ({"type": "string", "minLength": 10**9}, "minLength asks for more than 2000"),
    ({"type": "array", "items": {}, "minItems": 2001}, "minItems asks for more than 2000"),
    ({"type": "string", "pattern": "^a{1,1000000}$"}, "pattern asks for more than 2000"),
    ({"type": "string", "pattern": "^" + "(" * 5000 + "$"}, "RecursionError|Unbalanced|nests"),
    ({"type": "string", "pattern": 1}, "pattern|int"),
    ({"properties": 1}, "int"),
    ({"enum": [f"a{number}" for number in range(10_000)]}, "too many ways"),
    ({"enum": ["x" * 300_000]}, "characters, over"),
    ({"properties": {f"a{number}": {} for number in range(2000)}}, "RecursionError"),
    (DEEP, "RecursionError|characters, over"),
    (5, "int"),
    (None, "None"),
]


@pytest.mark.parametrize(("schema", "why"), REFUSED, ids=lambda value: str(value)[:30])
def test_a_schema_without_a_grammar_is_refused(schema: Any, why: str) -> None:
    with pytest.raises(GrammarError, match=why):
        follows(schema, "{}")
