"""The formats of JSON schemas: those of texts, those of numbers, and any others, which are notes.

Source: https://json-schema.org/draft/2020-12/json-schema-validation (7) and
https://spec.openapis.org/registry/format.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from .gbnf import GrammarError

BOUNDS = {"minimum", "maximum"}
_OF_TEXTS = frozenset(
    (
        *(
            "date-time",
            "date",
            "time",
            "duration",
            "email",
            "idn-email",
            "hostname",
            "ipv4",
            "ipv6",
        ),
        *("idn-hostname", "uri", "uri-reference", "iri", "iri-reference", "uuid", "uri-template"),
        *("json-pointer", "relative-json-pointer", "regex"),
    )
)
"""JSON Schema's own; llguidance refuses those that it does not follow."""
_NUMBERS = {"integer", "number", "null"}
_BITS = (8, 16, 32)
_RANGES: Mapping[str, tuple[int, int | None]] = {
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in _BITS},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in _BITS},
    **dict.fromkeys(("uint", "uint64"), (0, None)),
}
"""OpenAPI's, as far as llguidance counts."""


def format_of(name: str, types: Iterable[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """What the format ``name`` asks of values of ``types``, none for all, as keywords.

    Those of ``schema`` are not asked again. Raises GrammarError where it has wider bounds.
    """
    asked = set(types)
    if not asked or "string" in asked:
        return {"format": name} if name in _OF_TEXTS else {}
    if not asked <= _NUMBERS or name not in _RANGES:
        return {}
    low, high = _RANGES[name]
    given_low, given_high = schema.get("minimum", low), schema.get("maximum", high)
    for given, bound, sign in ((given_low, low, 1), (given_high, high, -1)):
        if isinstance(given, int | float) and bound is not None and sign * given < sign * bound:
            raise GrammarError(f"the format {name} has no {given:g}")
    bounds = {"minimum": low, "maximum": high}
    return {
        each: bound for each, bound in bounds.items() if bound is not None and each not in schema
    }
