"""Reads JSON schemas for llguidance, which follows them, and refuses what it does not follow.

llguidance follows a schema as JSON Schema says, or refuses it. But it passes over keywords that it
has never heard of and over some where they stand, and it counts with the numbers of its machine.

Source: https://json-schema.org/draft/2020-12 and llguidance's docs/json_schema.md.
"""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import combinations
from typing import Any
from urllib.parse import unquote

from .arithmetic import Arithmetic
from .formats import BOUNDS, format_of
from .gbnf import GrammarError
from .implied import OF_OBJECTS, typed
from .keywords import MAX_NUMBER, Keyword, Schema, number_of, required_of, types_of, wrong
from .lark import OPTIONS

MAX_CHARACTERS = 1 << 18
MAX_ITEMS = 10_000
MAX_PATTERNS = 50
MAX_DEPTH = 600
"""Schemas within one another, all that a $ref names together: llguidance reads by recursion."""
MAX_TRIALS = 16
"""Schemas that are tried to find out why one is refused."""
WHITESPACE = r"\x20|\n[\x20\t]{0,20}"
"""Between what JSON is made of, as llama.cpp has it: a space, or a line that is indented."""

_ESCAPES = 'nrbtf\\"'
"""Without \\u, which could write the name of a property in a second way."""
_DEFINED = {"$defs", "definitions", "$anchor"}
_APPLIED = {"$ref", "allOf", "anyOf", "oneOf"}


def grammar_of_schema(text: str) -> str:
    """The grammar, as llguidance takes it, of the JSON schema ``text``. Raises GrammarError."""
    if len(text) > MAX_CHARACTERS:
        raise GrammarError(f"it has {len(text)} characters, over {MAX_CHARACTERS}")
    try:
        schema = json.loads(text)
        if not isinstance(schema, dict):
            raise GrammarError("it is no JSON object")
        return _lark(typed(_Reader(schema).read()))
    except RecursionError:
        raise GrammarError("it nests too deeply") from None
    except ValueError as error:
        raise GrammarError(f"it is no JSON: {error}") from None


def blamed(text: str, why: str, refusal: Callable[[str], str]) -> str:
    """``why`` the schema ``text`` is refused, with a keyword without which it would not be.

    ``refusal`` says why a schema is refused, "" for one that is not.
    """
    try:
        schema = json.loads(text)
        places = list(_places(schema, "#"))
    except (ValueError, RecursionError):
        return why
    if any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", why) for name, _, _ in places):
        return why
    if "regex" in why and any(name == "pattern" for name, _, _ in places):
        return f"pattern: {why}"
    for name, at, holder in places[:MAX_TRIALS]:
        kept = dict(holder)
        del holder[name]
        if not refusal(json.dumps(schema)):
            return f"{name}, at {at:.100}: {why}"
        holder.clear()
        holder.update(kept)
    return f"{places[-1][0]}: {why}" if places else why


def _places(schema: Any, at: str) -> Iterator[tuple[str, str, Schema]]:
    """Each keyword in ``schema``, where it stands and in what, those within first."""
    for name, value in schema.items() if isinstance(schema, dict) else ():
        within: dict[Any, Any] = {}
        if _READERS.get(name) in (_Reader.one, _Reader.several, _Reader.many):
            within = dict(enumerate(value)) if isinstance(value, list) else {"": value}
            if _READERS[name] is _Reader.many and isinstance(value, dict):
                within = value
        for key, each in within.items():
            yield from _places(each, f"{at}/{name}/{key}".rstrip("/"))
        if _READERS.get(name) is not _nothing:
            yield name, at, schema


def _lark(schema: Schema) -> str:
    needed = re.search(r"\\u00[01]", json.dumps(schema))
    options = {
        "whitespace_pattern": WHITESPACE,
        "json_allowed_escapes": _ESCAPES + "u" if needed else _ESCAPES,
    }
    return f"start: %json {json.dumps({'x-guidance': options, **schema})}\n{OPTIONS}"


class _Reader:
    """Reads the schema ``root``, and writes it so that llguidance follows all of it."""

    def __init__(self, root: Schema) -> None:
        self.root = root
        self._id = str(root.get("$id", ""))
        self._heights: dict[int, int] = {}
        """How deep each schema nests, by the object's id."""
        self._height = 0
        self._anchors: dict[str, Schema] = {}
        self._references: list[str] = []
        self._open: list[Schema] = []
        """Those with properties of which it is not said whether there may be others."""
        self.arithmetic = Arithmetic()
        self._merges = False
        """Whether more than one schema may speak of the same value."""
        self._combines = False
        """Whether an object may have properties from more than one schema."""

    def read(self) -> Schema:
        """The schema as llguidance takes it. Raises GrammarError.

        Objects have no properties but those that are listed, where that is not said and can be
        so: a model that may go on inventing names does.
        """
        schema: Schema = self._schema(self.root, "#")
        named = {id(target): target for target in map(self._named, self._references)}
        if self._heights[id(self.root)] + sum(self._heights[each] for each in named) > MAX_DEPTH:
            raise GrammarError(f"what $ref names nests more than {MAX_DEPTH} schemas")
        self.arithmetic.check(merged=self._merges)
        if not self._combines:
            for each in self._open:
                each["additionalProperties"] = False
        return schema

    def _schema(self, schema: Any, at: str) -> Any:
        if isinstance(schema, bool):
            self._heights[id(schema)] = 1
            return schema
        if not isinstance(schema, dict):
            raise GrammarError(f"{at:.100} must be an object, true or false")
        made: Schema = {}
        beside, self._height = self._height, 0
        for name, value in schema.items():
            keyword = Keyword(name, value, f"{at}/{name}", schema)
            if name in _READERS:
                made |= _READERS[name](self, keyword)
            elif not name.startswith("x-") or name == "x-guidance":
                raise GrammarError(f"{name:.60} is not supported, at {at:.100}")
        self._heights[id(schema)] = self._height + 1
        self._height = max(beside, self._height + 1)
        self._note(made)
        return made

    def _note(self, schema: Schema) -> None:
        applied, of_objects = _APPLIED & schema.keys(), OF_OBJECTS & schema.keys()
        if len(schema.get("allOf", ())) > 1 or (applied and len(schema.keys() - _DEFINED) > 1):
            self._merges = True
        if "oneOf" in applied or len(schema.get("allOf", ())) > 1:
            self._combines = True
        if applied and len(applied | of_objects) > 1:
            self._combines = True
        named = schema.get("properties", {})
        closed = of_objects - {"properties", "required"}
        if named and not closed and set(required_of(schema)) <= named.keys():
            self._open.append(schema)

    def one(self, keyword: Keyword) -> Schema:
        """A keyword with one schema; in older drafts, items with several."""
        if keyword.name == "items" and isinstance(keyword.value, list):
            return self.several(keyword)
        return {keyword.name: self._schema(keyword.value, keyword.at)}

    def several(self, keyword: Keyword) -> Schema:
        """A keyword with a list of schemas; oneOf becomes anyOf where that is the same."""
        name, value, at, schema = keyword
        if not isinstance(value, list):
            raise wrong(keyword, "must be a list")
        made = [self._schema(each, f"{at}/{number}") for number, each in enumerate(value)]
        if name == "oneOf" and "anyOf" not in schema and self._is_disjoint(value):
            name = "anyOf"
        return {name: made}

    def many(self, keyword: Keyword) -> Schema:
        """A keyword with a schema for each of some names."""
        name, value, at, _ = keyword
        if not isinstance(value, dict):
            raise wrong(keyword, "must be an object")
        if name == "patternProperties" and len(value) > MAX_PATTERNS:
            raise wrong(keyword, f"may have {MAX_PATTERNS} patterns")
        return {name: {key: self._schema(each, f"{at}/{key}") for key, each in value.items()}}

    def reference(self, keyword: Keyword) -> Schema:
        """$ref, whose target must be a schema within this one."""
        value = keyword.value
        local = value.removeprefix(self._id) if isinstance(value, str) else ""
        if not local.startswith("#") or "/oneOf/" in local:
            raise wrong(keyword, "must name a schema in this one")
        self._references.append(local)
        return {"$ref": local}

    def anchor(self, keyword: Keyword) -> Schema:
        """$anchor, by which a $ref can name the schema."""
        self._anchors[str(keyword.value)] = keyword.schema
        return {"$anchor": keyword.value}

    def identity(self, keyword: Keyword) -> Schema:
        """$id, which below the root would change what a $ref means."""
        if keyword.schema is not self.root:
            raise wrong(keyword, "is not supported below the root")
        return {}

    def bound(self, keyword: Keyword) -> Schema:
        """A bound of numbers; in older drafts an exclusive one is true or false."""
        if not (isinstance(keyword.value, bool) and keyword.name.startswith("exclusive")):
            self.arithmetic.bounds.append((keyword.name, number_of(keyword)))
        return {keyword.name: keyword.value}

    def _named(self, reference: str) -> Any:
        """The schema that ``reference`` names."""
        path = unquote(reference.removeprefix("#"))
        if path and not path.startswith("/"):
            target = self._anchors.get(path)
        else:
            target = self._target(path)
        if id(target) not in self._heights:
            raise GrammarError(f"$ref names {reference:.60}, which is no schema")
        return target

    def _target(self, path: str) -> Any:
        """What the JSON pointer ``path`` names, None for nothing."""
        target: Any = self.root
        for step in filter(None, path.split("/")):
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list):
                target = dict(enumerate(target)).get(int(step) if step.isdecimal() else -1)
            else:
                target = target.get(step) if isinstance(target, dict) else None
        return target

    def _is_disjoint(self, options: list[Any]) -> bool:
        """Whether a required property that has other values in each tells ``options`` apart."""
        told = [self._told_by(each) for each in options]
        return all(
            any(not one[name] & other[name] for name in one.keys() & other.keys())
            for one, other in combinations(told, 2)
        )

    def _told_by(self, option: Any) -> dict[str, set[str]]:
        """The required properties of ``option`` with a few values, and these."""
        if isinstance(option, dict) and str(option.get("$ref", "")).startswith("#/"):
            option = self._target(unquote(option["$ref"][1:]))
        if not isinstance(option, dict) or not isinstance(option.get("properties"), dict):
            return {}
        told: dict[str, set[str]] = {}
        for name, each in option["properties"].items():
            if isinstance(each, dict) and name in required_of(option):
                values = [each["const"]] if "const" in each else each.get("enum")
                if isinstance(values, list) and all(isinstance(value, str) for value in values):
                    told[name] = set(values)
        return told if option.get("type") == "object" else {}


def _nothing(_: _Reader, __: Keyword) -> Schema:
    """An annotation, which asks for nothing."""
    return {}


def _plain(_: _Reader, keyword: Keyword) -> Schema:
    """What llguidance follows or refuses."""
    return {keyword.name: keyword.value}


def _type(_: _Reader, keyword: Keyword) -> Schema:
    return {keyword.name: types_of(keyword.schema) or keyword.value}


def _nullable(_: _Reader, keyword: Keyword) -> Schema:
    """OpenAPI's, which says that null is one of the types, if there are some."""
    if keyword.value is not False and "type" not in keyword.schema:
        raise wrong(keyword, "is not supported")
    return {}


def _names(_: _Reader, keyword: Keyword) -> Schema:
    return {keyword.name: required_of(keyword.schema)}


def _off(nothing: bool) -> "_Read":
    """A keyword that is not supported, unless its value is ``nothing``, which asks for nothing."""

    def off(_: _Reader, keyword: Keyword) -> Schema:
        if keyword.value is not nothing:
            raise wrong(keyword, "is not supported")
        return {}

    return off


def _values(_: _Reader, keyword: Keyword) -> Schema:
    stack = [keyword.value]
    while stack:
        each = stack.pop()
        stack += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        if isinstance(each, int | float) and not abs(each) < MAX_NUMBER:
            raise wrong(keyword, f"has {each}, and numbers are supported up to 2**53")
    return {keyword.name: keyword.value}


def _factor(reader: _Reader, keyword: Keyword) -> Schema:
    if not number_of(keyword) > 0:
        raise wrong(keyword, "must be over 0")
    reader.arithmetic.factors.add(Decimal(str(keyword.value)))
    return {keyword.name: keyword.value}


def _count(most: int) -> "_Read":
    """A number of characters, items or properties."""

    def count(_: _Reader, keyword: Keyword) -> Schema:
        value = number_of(keyword)
        if value != int(value) or not 0 <= value <= most:
            raise wrong(keyword, f"must be a whole number from 0 to {most}")
        required = len(set(required_of(keyword.schema)))
        if keyword.name == "minProperties" and value > required + 1:
            raise wrong(keyword, "is supported up to one more than are required")
        return {keyword.name: int(value)}

    return count


def _format(reader: _Reader, keyword: Keyword) -> Schema:
    """A format of texts, or one that bounds numbers."""
    made = format_of(str(keyword.value), types_of(keyword.schema), keyword.schema)
    reader.arithmetic.bounds += [(name, made[name]) for name in BOUNDS & made.keys()]
    return made


_Read = Callable[[_Reader, Keyword], Schema]
_READERS: dict[str, _Read] = {
    **dict.fromkeys(("additionalProperties", "additionalItems", "items"), _Reader.one),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _Reader.several),
    **dict.fromkeys(("properties", "patternProperties", "$defs", "definitions"), _Reader.many),
    "$ref": _Reader.reference,
    "$anchor": _Reader.anchor,
    "$id": _Reader.identity,
    **dict.fromkeys(("const", "enum"), _values),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _Reader.bound),
    **dict.fromkeys(("minLength", "maxLength", "minProperties", "maxProperties"), _count(10**9)),
    **dict.fromkeys(("minItems", "maxItems"), _count(MAX_ITEMS)),
    "multipleOf": _factor,
    "format": _format,
    "type": _type,
    "required": _names,
    "pattern": _plain,
    "uniqueItems": _off(False),
    "nullable": _nullable,
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), _off(True)),
    **dict.fromkeys(("$schema", "id", "$comment", "title", "description", "default"), _nothing),
    **dict.fromkeys(("examples", "example", "deprecated", "readOnly", "writeOnly"), _nothing),
    **dict.fromkeys(("contentMediaType", "contentEncoding", "discriminator"), _nothing),
    **dict.fromkeys(("externalDocs", "xml"), _nothing),
}
"""The keywords, and how each is read."""
