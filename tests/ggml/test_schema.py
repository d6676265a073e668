"""JSON schemas: what follows them, what does not, and which are refused."""

import json
import re
from typing import Any

import pytest

from llamaedge_host.ggml.llama.vocabulary import Vocabulary
from llamaedge_host.ggml.sampling.constraint import Constraint, Matcher, check
from llamaedge_host.nn import NnErrno
from llamaedge_host.nn.backend import BackendError

from .conftest import Load


@pytest.fixture
def vocabulary(load: Load) -> Vocabulary:
    return load().model.vocabulary


def matcher(vocabulary: Vocabulary, schema: Any) -> Matcher:
    """One for ``schema``. Raises BackendError if it is refused."""
    constraint = Constraint("json-schema", json.dumps(schema))
    check(constraint, vocabulary)
    return Matcher(constraint, vocabulary)


def follows(vocabulary: Vocabulary, schema: Any, text: str) -> bool:
    """Whether ``text`` can be written by ``schema``."""
    made = matcher(vocabulary, schema)
    tokens = vocabulary.tokenize(text.encode(), special=False)
    return all(map(made.follows, tokens)) and made.follows(vocabulary.ends[0])


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
    ({"items": {"type": "integer"}, "minItems": 2}, ["[1, 2]"], ["[1]", '["a", 1]', '"a"', "{}"]),
    ({"properties": {"a": {"const": 1}}, "required": ["a"]}, ['{"a": 1}'], ["1", "[]"]),
    ({"pattern": "^a+$"}, ['"aa"'], ["1", '"b"']),
    ({"minimum": 3}, ["3", "4.5"], ["2", '"a"']),
    ({}, ["{}"], ["1", "[]"]),
    ({"const": {"a": ["\n"]}}, ['{"a": ["\\n"]}'], ['{"a": ["\n"]}']),
    ({"type": "string"}, ['"a\\n\u00e9 "'], ['"\\u00e9"', '"\n"', '"\\q"', '"', '"""']),
    ({"type": "string", "maxLength": 300}, ['""', f'"{"x" * 300}"'], [f'"{"x" * 301}"']),
    ({"type": "string", "minLength": 2}, ['"ab"', f'"{"x" * 3000}"'], ['"a"']),
    ({"type": "string", "maxLength": 10**9}, [f'"{"x" * 3000}"'], ["1"]),
    ({"type": "string", "pattern": "^[a-c]{2,3}$"}, ['"ab"', '"abc"'], ['"a"', '"abcc"', '"ad"']),
    ({"type": "string", "format": "date"}, ['"2024-02-29"'], ['"2024-13-01"']),
    ({"type": "string", "format": "phone"}, ['"+49"', '""'], ["1"]),
    ({"type": "string", "format": "unknown"}, ['"x"'], ["1"]),
    ({"type": "string", "format": "int32"}, ['"x"'], ["1"]),
    ({"type": "integer", "format": "int32"}, ["2147483647", "-2147483648"], ["2147483648"]),
    ({"type": ["integer", "null"], "format": "uint8"}, ["0", "255", "null"], ["256", "-1"]),
    ({"type": "integer", "format": "uint16", "minimum": 9}, ["9", "65535"], ["8", "65536"]),
    ({"type": "integer", "format": "uint64"}, ["0", "18446744073709551615"], ["-1"]),
    ({"type": "integer", "format": "int64"}, ["-9223372036854775808"], ["1.5"]),
    ({"type": "number", "format": "double"}, ["-1.5", "7"], ['"a"']),
    ({"type": "string", "nullable": True}, ['"a"', "null"], ["1"]),
    ({"type": "object", "nullable": True, "properties": {}}, ["{}", "null"], ["1"]),
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
def test_a_text_follows_its_schema(
    vocabulary: Vocabulary, schema: Any, good: list[str], bad: list[str]
) -> None:
    for text in good:
        assert follows(vocabulary, schema, text), text
    for text in bad:
        assert not follows(vocabulary, schema, text), text


def nested(depth: int) -> Any:
    schema: Any = {}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


REFUSED: list[tuple[Any, str]] = [
    ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "no token can follow"),
    ({"$ref": "#/nothing"}, r"\$ref names #/nothing"),
    ({"$ref": "#nothing"}, r"\$ref names #nothing"),
    ({"$ref": "#/default", "default": {"type": "string"}}, r"\$ref names #/default"),
    ({"$ref": "https://example.com/a.json"}, r"\$ref must name a schema in this one"),
    ({"$ref": "file:///etc/passwd"}, r"\$ref must name a schema in this one"),
    ({"type": "nothing"}, "type: nothing"),
    ({"type": "string", "minLength": 10**10}, "minLength must be"),
    ({"type": "array", "items": {}, "minItems": 20_000}, "minItems must be"),
    ({"type": "array", "maxItems": -1}, "maxItems must be"),
    ({"type": "string", "pattern": "(" * 5000 + ")" * 5000}, "regex"),
    ({"type": "string", "pattern": "(?=a)"}, "pattern: regex parse error"),
    (
        {"allOf": [{"anyOf": [{"required": [f"{n}{m}"]} for m in range(9)]} for n in range(6)]},
        "allOf: schema too large",
    ),
    ({"type": "string", "pattern": 1}, "pattern"),
    ({"type": "string", "format": "uri-template"}, "format: uri-template"),
    ({"type": "integer", "format": "uint8", "minimum": -1}, "the format uint8 has no -1"),
    ({"properties": 1}, "properties must be an object"),
    ({"properties": {"a": 1}}, "properties/a must be an object, true or false"),
    ({"type": "object", "required": [{}]}, "required must be a list of names"),
    ({"patternProperties": {f"^{number}$": {} for number in range(100)}}, "patternProperties"),
    ({"enum": ["x" * 300_000]}, "characters, over"),
    ({"const": 2**53}, "const has 9007199254740992"),
    ({"maximum": 1e300}, "maximum is supported up to"),
    ({"multipleOf": 0}, "multipleOf must be over 0"),
    ({"type": "integer", "multipleOf": 262_147}, "multipleOf is supported up to"),
    ({"allOf": [{"multipleOf": 257}, {"multipleOf": 263}]}, "multipleOf is supported up to"),
    ({"exclusiveMinimum": 1, "maximum": 1.5}, "exclusiveMinimum 1 is not supported with"),
    ({"exclusiveMaximum": 0, "minimum": -0.5}, "exclusiveMaximum 0 is not supported with"),
    ({"type": "object", "minProperties": 3}, "minProperties is supported up to"),
    (nested(300), "recursion|nests"),
    (
        {"$ref": "#/$defs/a0"}
        | {"$defs": {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(5000)} | {"a5000": {}}},
        r"\$ref names nests more than",
    ),
    ({"items": {"$id": "a"}}, r"\$id is not supported below the root"),
    (5, "no JSON object"),
    (None, "no JSON object"),
    *(
        ({"properties": {"a": {name: value}}}, re.escape(f"{name} is not supported, at #"))
        for name, value in {
            "uniqueItems": True,
            "nullable": True,
            "not": {},
            "if": {},
            "then": {},
            "else": {},
            "contains": {},
            "minContains": 1,
            "maxContains": 1,
            "propertyNames": {},
            "dependencies": {},
            "dependentRequired": {},
            "dependentSchemas": {},
            "unevaluatedItems": False,
            "unevaluatedProperties": False,
            "$dynamicRef": "#a",
            "$dynamicAnchor": "a",
            "$recursiveRef": "#",
            "$recursiveAnchor": True,
            "$vocabulary": {},
            "contentSchema": {},
            "x-guidance": {"lenient": True},
            "minLenght": 1,
        }.items()
    ),
]


@pytest.mark.parametrize(("schema", "why"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_be_followed_is_refused_by_name(
    vocabulary: Vocabulary, schema: Any, why: str
) -> None:
    with pytest.raises(BackendError, match=why) as raised:
        matcher(vocabulary, schema)
    assert raised.value.errno is NnErrno.INVALID_ARGUMENT
    assert len(str(raised.value)) < 400


def test_many_properties_need_not_be_there(vocabulary: Vocabulary) -> None:
    texts = {f"k{number}": {"type": "string"} for number in range(450)}
    schema = {"type": "object", "properties": texts}
    assert follows(vocabulary, schema, '{"k3": "a", "k449": "b"}')
    assert not follows(vocabulary, schema, '{"k3": 1}')


LARGE: list[Any] = [
    {"enum": [f"a{number}" for number in range(10_000)]},
    {"const": "x" * 200_000},
    {"properties": {f"a{number}": {} for number in range(2000)}},
    {"type": "object", "required": [f"a{number}" for number in range(2000)]},
    {"type": "string", "minLength": 10**9},
    {"type": "string", "maxLength": 10**9},
    {"type": "array", "items": {}, "minItems": 10_000},
    {"type": "object", "maxProperties": 10**9},
    {"$ref": "#/$defs/a0"}
    | {"$defs": {f"a{number}": {"$ref": f"#/$defs/a{number + 1}"} for number in range(500)}
       | {"a500": {"type": "boolean"}}},
    {"$ref": "#/$defs/a0"}
    | {"$defs": {f"a{n}": {"prefixItems": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
       | {"a40": {"type": "boolean"}}},
]  # fmt: skip


@pytest.mark.parametrize("schema", LARGE, ids=lambda value: str(value)[:40])
def test_a_large_schema_is_followed(vocabulary: Vocabulary, schema: Any) -> None:
    made = matcher(vocabulary, schema)
    for _ in range(20):
        allowed = [token for token in made.allowed().tolist() if not vocabulary.is_end(token)]
        if not allowed:
            break
        assert made.follows(max(allowed, key=lambda token: len(vocabulary.piece(token))))
    assert not made.failure
