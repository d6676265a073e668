"""JSON schemas of all kinds: each keyword's, pydantic's, and whatever comes."""

import enum
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import hypothesis.strategies as st
import pydantic
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

Schema = dict[str, Any]

PATTERNS = (
    *(r"^.{3}$", r"^a|b$", r"^\n$", r"^\\d$", r"\S", r"^ab", r"^\d+$", r"^[\w-]+$", r"^ab\.cd$"),
    *(r"^a\/b$", r"^\$$", r"^(?:ab|cd)+$", "ab", "^$", "", r"^\S{2,4}$", r"^[^a-z\"]{2}$", r"^\w$"),
    *(r"^(a|bc){2}$", r"a$", r"^\x41\u0042$", r"^[\]\[]+?$", r"^\t*x$", r"\\", r"^[A-Z]{3}-\d{4}$"),
    *(r"^\+?\d{1,3}( \d{2}){2}$", r"^#[0-9a-f]{6}$", r"^.*$", r"^(?=a)", r"^a(?!b)", r"(a)\1"),
)
FORMATS = (
    *("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"),
    *("idn-email", "iri", "regex", "json-pointer", "uri-template", "phone", "binary"),
)
NOTES: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://example.com/a.json",
    "$comment": "c",
    "title": "t",
    "description": "d",
    "default": {"$ref": "#/nothing"},
    "examples": [1],
    "deprecated": True,
    "readOnly": True,
    "writeOnly": False,
    "contentMediaType": "text/plain",
    "contentEncoding": "base64",
    "x-order": 1,
}
A, B = {"a": {"type": "integer"}}, {"b": {"enum": ["x", "y"]}}
OBJECT = {"type": "object", "additionalProperties": False}
SHORT = {"type": "string", "maxLength": 6}

KEYWORDS: list[Schema] = [
    {},
    *({"type": name} for name in ("null", "boolean", "integer", "number", "string", "object")),
    {"type": ["integer", "null"]},
    {"type": ["string", "array"], "maxLength": 3, "maxItems": 1, "items": {"type": "null"}},
    *({"type": "integer", name: value} for name in ("minimum", "exclusiveMinimum",
      "maximum", "exclusiveMaximum") for value in (0, -1.5, 17, 10**12, 2**60)),
    *({"type": "number", name: value} for name in ("minimum", "exclusiveMinimum",
      "maximum", "exclusiveMaximum") for value in (0, -0.25, 17, 1e-9, 123456.789)),
    {"type": "integer", "minimum": 0, "maximum": 9},
    {"type": "integer", "minimum": -5, "exclusiveMaximum": 105},
    {"type": "number", "minimum": -0.5, "maximum": 0.25},
    {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1.5},
    {"type": "integer", "minimum": 5, "maximum": 3},
    {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
    {"minimum": 3, "maximum": 4},
    *({"type": "integer", "multipleOf": value} for value in (1, 2, 7, 10, 0.5, 1000, 2.5, 0)),
    *({"type": "number", "multipleOf": value, "minimum": 0, "maximum": 500}
      for value in (3, 0.25, 0.1, 0.01, 1e-7)),
    {"allOf": [{"multipleOf": 4}, {"multipleOf": 6}], "type": "integer"},
    {"allOf": [{"multipleOf": 65537}, {"multipleOf": 65539}], "type": "integer"},
    {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 10},
    *({"type": "string", "minLength": low, "maxLength": high}
      for low, high in ((0, 0), (2, 2), (1, 5), (3, 2), (0, 300))),
    {"type": "string", "minLength": 3},
    *({"type": "string", "pattern": pattern} for pattern in PATTERNS),
    {"type": "string", "pattern": "^a+$", "minLength": 3, "maxLength": 5},
    {"type": "string", "pattern": "b", "maxLength": 4},
    {"type": "string", "pattern": "^a$", "minLength": 2},
    {"pattern": "^a$", "type": ["string", "null"]},
    *({"type": "string", "format": name} for name in FORMATS),
    {"type": "integer", "format": "int32"},
    *({"const": value} for value in (None, True, 1, -1.5, 1e20, 0.1, 2**53, "", 'a"\\b', "\u0001",
      "é漢\U0001f600", [], [1, [2]], {}, {"a": {"b": []}}, {"$ref": "#/nothing"}, "\n")),
    {"enum": []},
    {"enum": [1, "1", None, [1], {"a": 1}, 2.5]},
    {"enum": ["a", "b"], "type": "string", "minLength": 2},
    {"enum": ["a", 1], "type": "integer"},
    {"type": "array"},
    {"type": "array", "items": False},
    {"type": "array", "items": {"type": "null"}, "minItems": 2, "maxItems": 3},
    {"type": "array", "items": {"type": "boolean"}, "maxItems": 0},
    {"type": "array", "minItems": 3, "maxItems": 2},
    {"type": "array", "prefixItems": [{"const": 1}, {"const": "a"}], "items": False},
    {"type": "array", "prefixItems": [{"const": 1}], "items": {"type": "null"}, "maxItems": 3},
    {"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "minItems": 1, "maxItems": 2},
    {"$schema": "http://json-schema.org/draft-07/schema#", "type": "array",
     "items": [{"const": 1}, {"const": 2}], "additionalItems": False, "minItems": 2},
    {"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True},
    {"type": "array", "items": {"enum": [1, 2]}, "maxItems": 2, "uniqueItems": False},
    {"type": "array", "contains": {"const": 1}},
    {"type": "array", "contains": {"const": 1}, "minContains": 2, "maxContains": 3},
    {"type": "array", "unevaluatedItems": False},
    {"type": "object", "properties": A},
    {"properties": A | B, "required": ["b"]},
    {"type": "object", "properties": A, "required": ["b"]},
    OBJECT,
    OBJECT | {"properties": A | B, "required": ["a", "b"]},
    OBJECT | {"required": ["a"]},
    {"type": "object", "additionalProperties": {"type": "null"}, "maxProperties": 2},
    {"type": "object", "properties": A, "additionalProperties": SHORT, "maxProperties": 2},
    {"type": "object", "properties": A, "required": ["a"], "additionalProperties": {"const": 1},
     "minProperties": 2, "maxProperties": 3},
    {"type": "object", "patternProperties": {"^x": {"const": 1}}, "additionalProperties": False},
    {"type": "object", "patternProperties": {"^x": {"const": 1}, "^y": {"const": 2}},
     "properties": A, "additionalProperties": False, "maxProperties": 3},
    {"type": "object", "patternProperties": {"x": {"const": 1}, "y": {"const": 2}}},
    {"type": "object", "patternProperties": {"^a": {"maximum": 5}}, "properties": A},
    *(OBJECT | {"properties": A | B, name: count}
      for name in ("minProperties", "maxProperties") for count in (0, 1, 2)),
    {"type": "object", "minProperties": 1, "additionalProperties": {"type": "null"}},
    {"type": "object", "minProperties": 2, "additionalProperties": {"type": "null"}},
    {"type": "object", "propertyNames": {"maxLength": 2}},
    {"type": "object", "dependentRequired": {"a": ["b"]}},
    {"type": "object", "dependentSchemas": {"a": {}}},
    {"type": "object", "dependencies": {"a": ["b"]}},
    {"type": "object", "unevaluatedProperties": False, "properties": A},
    {"properties": {"$ref": {"type": "integer"}, "const": {"const": 1}}, "required": ["$ref"]},
    {"properties": {'q"\\/~': {"const": 1}, "é": {"const": 2}, "": {"const": 3}},
     "required": ['q"\\/~', "é", ""]},
    {"properties": {"a b": {"type": "null"}}, "minProperties": 1, "additionalProperties": False,
     "type": "object"},
    {"allOf": []},
    {"allOf": [{"type": "integer"}, {"maximum": 9}, {"minimum": 0}]},
    {"allOf": [{"type": "string"}, {"type": "integer"}]},
    {"allOf": [{"properties": A, "required": ["a"]}, {"properties": B, "required": ["b"]}],
     "type": "object"},
    {"allOf": [OBJECT | {"properties": A}, {"required": ["b"]}]},
    {"allOf": [{"$ref": "#/$defs/c"}], "$defs": {"c": {"enum": ["x", "y"]}}},
    {"properties": {"c": {"allOf": [{"$ref": "#/definitions/c"}], "default": "x"}},
     "required": ["c"], "definitions": {"c": {"enum": ["x", "y"], "title": "C"}}},
    {"anyOf": []},
    {"anyOf": [{"type": "null"}, {"enum": ["a"]}, OBJECT | {"properties": A}]},
    {"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": A | B, "type": "object"},
    {"anyOf": [{"minimum": 5}, {"maximum": 1}], "type": "integer"},
    {"anyOf": [False, {"const": 1}]},
    {"oneOf": [{"type": "null"}, {"type": "boolean"}]},
    {"oneOf": [{"type": "integer"}, {"minimum": 2}]},
    {"oneOf": [{"const": 1}, {"const": 2}]},
    {"oneOf": [{"properties": A}, {"properties": B}], "type": "object"},
    {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": A | B, "type": "object"},
    {"properties": {"c": {"const": 1}}, "required": ["c"],
     "oneOf": [{"properties": {"k": {"const": "a"}}, "required": ["k"]},
               {"properties": {"k": {"const": "b"}}, "required": ["k"]}]},
    {"not": {"type": "integer"}},
    {"not": {}},
    {"if": {"type": "string"}, "then": {"maxLength": 2}, "else": {"type": "null"}},
    {"$ref": "#"},
    {"properties": {"a": {"$ref": "#"}}, "type": "object"},
    {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
    {"type": "array", "prefixItems": [{"const": 1}, {"$ref": "#/prefixItems/0"}], "items": False,
     "minItems": 2},
    {"$ref": "#/$defs/a~1b%20c~0d", "$defs": {"a/b c~d": {"const": 1}}},
    {"$ref": "#here", "$defs": {"a": {"$anchor": "here", "type": "boolean"}}},
    {"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer"}}, "maximum": 3, "minimum": 0},
    {"$ref": "https://example.com/b.json"},
    {"$id": "https://example.com/a.json", "$ref": "https://example.com/a.json#/$defs/b",
     "$defs": {"b": {"type": "null"}}},
    {"$dynamicRef": "#a", "$defs": {"a": {"$dynamicAnchor": "a"}}},
    NOTES | {"type": "object", "properties": A},
    *({"type": "boolean", name: value} for name, value in NOTES.items()),
    {"type": "boolean", "nullable": True},
    {"type": "boolean", "unheardOf": 1},
    {"type": "array", "items": SHORT, "minItem": 2},
    {"type": "object", "properties": {f"k{number}": {"type": "boolean"} for number in range(12)}},
    {"type": "object", "properties": {f"k{number}": {"const": number} for number in range(12)},
     "required": [f"k{number}" for number in range(12)], "additionalProperties": False},
]  # fmt: skip


class Color(enum.Enum):
    red = "r"
    green = "g"


class Level(enum.IntEnum):
    low = 1
    high = 2


class Point(NamedTuple):
    x: int
    y: float


class Movie(TypedDict, total=False):
    name: str
    year: int


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(9, ge=0, le=9)


class Dog(BaseModel):
    kind: Literal["dog", "wolf"]
    name: Annotated[str, Field(max_length=5)]


class Node(BaseModel):
    value: Annotated[int, Field(ge=0, lt=100)]
    children: list["Node"] = Field(default=[], max_length=2)


class Everything(BaseModel):
    """Of each kind of field one."""

    model_config = ConfigDict(title="All of it", extra="forbid")
    flag: bool
    count: Annotated[int, Field(gt=0, multiple_of=5, le=100)]
    share: Annotated[float, Field(ge=0, le=1)]
    color: Color = Color.red
    level: Level | None = None
    code: Annotated[str, Field(pattern=r"^[A-Z]{2}\d{2}$", description="A code")]
    point: Point
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    more: dict[str, int] = Field(default={}, max_length=2)


TYPES: list[Any] = [
    *(bool, int, float, str, bytes, None, Any, list[int], list[Any], dict[str, int]),
    *(tuple[int, str], tuple[int, ...], set[int], frozenset[str], date, datetime, time, timedelta),
    *(UUID, Decimal, complex, Color, Level, Point, Movie, Cat, Dog, Node, Everything, Cat | Dog),
    *(int | None, int | str, Literal[1, "a", None], list[Color], dict[Color, int]),
    *(list[Cat | None], dict[str, Any]),
    *(pydantic.PositiveInt, pydantic.StrictStr, pydantic.AnyUrl, pydantic.IPvAnyAddress),
    *(pydantic.Base64Str, pydantic.Json, pydantic.SecretStr, pydantic.AwareDatetime),
    Annotated[Cat | Dog, Field(discriminator="kind")],
    Annotated[list[Annotated[str, Field(max_length=3)]], Field(min_length=1, max_length=2)],
    Annotated[float, Field(gt=-1.5, lt=2.25)],
    Annotated[Decimal, Field(max_digits=3, decimal_places=1)],
    Annotated[str, Field(min_length=2, max_length=2, pattern="^a")],
    pydantic.create_model("Made", **{f"field{number}": (int, ...) for number in range(10)}),  # type: ignore[call-overload]
]


def of_pydantic() -> list[Schema]:
    """The schemas that pydantic makes of types of all kinds."""
    return [TypeAdapter(each).json_schema() for each in TYPES]


_names = st.sampled_from(("a", "b", "c", "kind", "$ref", 'q"'))
_small = st.integers(-3, 12)
_counts = st.integers(0, 3)
_scalars = st.none() | st.booleans() | _small | st.sampled_from((0.5, -2.25, "", "a", "b\n", "é"))
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_names, inner, max_size=2),
    max_leaves=3,
)


def _some(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[Schema]:
    return st.fixed_dictionaries({}, optional=keywords)


_bounds = st.sampled_from((-10, -1, -0.5, 0, 0.25, 1, 3, 10, 99))
_leaves = st.one_of(
    st.sampled_from(({"type": "boolean"}, {"type": "null"}, {"$ref": "#/$defs/d"}, {"$ref": "#"})),
    st.builds(lambda values: {"enum": values}, st.lists(_values, min_size=1, max_size=3)),
    st.builds(lambda value: {"const": value}, _values),
    st.builds(
        lambda kind, more: {"type": kind} | more,
        st.sampled_from(("integer", "number")),
        _some(
            minimum=_bounds,
            maximum=_bounds,
            exclusiveMinimum=_bounds,
            exclusiveMaximum=_bounds,
            multipleOf=st.sampled_from((1, 2, 0.5, 3, 0.1)),
        ),
    ),
    st.builds(
        lambda most, more: {"type": "string", "maxLength": most} | more,
        st.integers(0, 8),
        _some(
            minLength=_counts,
            pattern=st.sampled_from(PATTERNS),
            format=st.sampled_from(FORMATS),
        ),
    ),
)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Schema]:
    return st.builds(
        lambda named, more: {"type": "object", "properties": named} | more,
        st.dictionaries(_names, inner, max_size=3),
        _some(
            required=st.lists(_names, max_size=2, unique=True),
            additionalProperties=st.just(False) | inner,
            minProperties=_counts,
            maxProperties=_counts,
            patternProperties=st.dictionaries(st.sampled_from(("^x", "a$", "^y+$")), inner),
        ),
    )


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Schema]:
    applied = st.builds(
        lambda name, schemas: {name: schemas},
        st.sampled_from(("allOf", "anyOf", "anyOf", "oneOf")),
        st.lists(inner, min_size=1, max_size=3),
    )
    arrays = st.builds(
        lambda more: {"type": "array"} | more,
        _some(
            items=inner,
            prefixItems=st.lists(inner, min_size=1, max_size=2),
            minItems=_counts,
            maxItems=_counts,
        ),
    )
    beside = st.builds(lambda one, other: one | other, inner, applied)
    return applied | arrays | _objects(inner) | beside


anything: st.SearchStrategy[Schema] = st.builds(
    lambda schema, defined: schema | {"$defs": {"d": defined}},
    st.recursive(_leaves, _combined, max_leaves=6),
    _leaves,
)
"""A schema of a few keywords, at random."""
