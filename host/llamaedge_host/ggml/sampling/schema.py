"""JSON schemas as grammars: llama-cpp-python's converter, mended where a schema breaks it.

It writes a repetition as so many nested brackets, does not escape what it quotes, lets control
characters into strings, and misses what a schema that is a reference refers to.
"""

import json
import re
from typing import Any

from llama_cpp.llama_grammar import RESERVED_NAMES, BuiltinRule, SchemaConverter

from .gbnf import MAX_CHARACTERS, MAX_REPETITIONS, GrammarError

_CHARACTER = BuiltinRule(
    r'[^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})',
)
_AT_LEAST, _AT_MOST = ("minLength", "minItems"), ("maxLength", "maxItems")
_VALUES = ("const", "enum", "default", "examples")
_ELSEWHERE = {"$ref", "oneOf", "anyOf", "const", "enum", "pattern", "format", "properties"}
_ELSEWHERE |= {"additionalProperties", "allOf"}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"}


def grammar_of_schema(text: str) -> str:
    """The GBNF of what follows the JSON schema ``text``. Raises GrammarError for one that has none.

    A bound above 2000 counts for none. Limits of numbers are not kept.
    """
    if len(text) > MAX_CHARACTERS:
        raise GrammarError(f"it has {len(text)} characters, over {MAX_CHARACTERS}")
    converter = _Converter(prop_order={}, allow_fetch=False, dotall=False, raw_pattern=False)
    try:
        schema = _bounded(json.loads(text))
        if "$ref" in schema:
            schema = {**schema, "anyOf": [{"$ref": schema.pop("$ref")}]}
        converter.visit(converter.resolve_refs(schema, ""), "")
        grammar: str = converter.format_grammar()
    except GrammarError:
        raise
    except Exception as error:  # the converter raises whatever its input provokes
        raise GrammarError(f"{type(error).__name__}: {error}") from None
    return grammar


def _bounded(schema: Any) -> Any:
    """``schema`` without bounds that are too large to be written out."""
    if isinstance(schema, list):
        return [_bounded(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    bounded: dict[str, Any] = {}
    for key, value in schema.items():
        large = isinstance(value, int | float) and value > MAX_REPETITIONS
        if (large and key in _AT_LEAST) or (key == "pattern" and _is_long(value)):
            raise GrammarError(f"its {key} asks for more than {MAX_REPETITIONS} repetitions")
        if not (large and key in _AT_MOST):
            bounded[key] = value if key in _VALUES else _bounded(value)
    return bounded


def _is_long(pattern: object) -> bool:
    if not isinstance(pattern, str):
        return False
    numbers = re.findall(r"\d+", " ".join(re.findall(r"\{[^}]*\}", pattern)))
    return any(len(number) > 4 or int(number) > MAX_REPETITIONS for number in numbers)


class _Converter(SchemaConverter):  # type: ignore[misc]
    """Writes repetitions as GBNF has them, and quotes."""

    def _format_literal(self, literal: str) -> str:
        text = json.dumps(json.loads(literal), ensure_ascii=False)
        return '"' + "".join(_ESCAPES.get(each, each) for each in text) + '"'

    def _add_primitive(self, name: str, rule: BuiltinRule) -> str:
        added: str = super()._add_primitive(name, _CHARACTER if name == "char" else rule)
        return added

    def visit(self, schema: dict[str, Any], name: str) -> str:
        """Add the rules of ``schema``; the name of the one that stands for it."""
        kind, items = schema.get("type"), schema.get("items")
        rule = None
        if not _ELSEWHERE & schema.keys():
            if kind == "string" and {"minLength", "maxLength"} & schema.keys():
                times = _times(schema.get("minLength", 0), schema.get("maxLength"))
                rule = rf'"\"" {self._add_primitive("char", _CHARACTER)}{times} "\"" space'
            elif kind in (None, "array") and isinstance(items, dict):
                item = self.visit(items, f"{name}-item" if name else "item")
                rule = _array(item, schema.get("minItems", 0), schema.get("maxItems"))
        if rule is None:
            added: str = super().visit(schema, name)
        else:
            added = self._add_rule(f"{name}-" if name in RESERVED_NAMES else name or "root", rule)
        return added


def _array(item: str, least: int, most: int | None) -> str:
    if most == 0:
        return '"[" space "]" space'
    further = _times(max(least - 1, 0), None if most is None else most - 1)
    some = f'{item} ("," space {item}){further}'
    return f'"[" space {some if least else f"({some})?"} "]" space'


def _times(least: int, most: int | None) -> str:
    return f"{{{least},{'' if most is None else most}}}"
