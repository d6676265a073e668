"""The type that a JSON schema means but does not name, by llama.cpp's rule.

By JSON Schema, keywords about items let everything by that is no array.
"""

from typing import Any

_TELLING = {"type", "const", "enum", "$ref", "allOf", "anyOf", "oneOf"}
OF_OBJECTS = {
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "minProperties",
    "maxProperties",
}
_KEYWORDS = {
    "object": OF_OBJECTS,
    "array": {"items", "prefixItems", "additionalItems", "minItems", "maxItems"},
    "string": {"pattern", "format", "minLength", "maxLength"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}
"""What each type's keywords are."""


def typed(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` with the type that its keywords are about, if it has none; else an object."""
    if schema.keys() & _TELLING:
        return schema
    for kind, keywords in _KEYWORDS.items():
        if schema.keys() & keywords:
            return {"type": kind, **schema}
    return schema or {"type": "object"}
