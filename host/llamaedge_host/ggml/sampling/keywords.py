"""A keyword of a JSON schema, and what its value is."""

from typing import Any, NamedTuple

from .gbnf import GrammarError

Schema = dict[str, Any]
MAX_NUMBER = 2**53
"""From there on a float, which llguidance counts with, is not every whole number."""


class Keyword(NamedTuple):
    """A keyword of ``schema``; ``at`` says where it stands."""

    name: str
    value: Any
    at: str
    schema: Schema


def wrong(keyword: Keyword, why: str) -> GrammarError:
    """The error that names ``keyword`` and where it stands."""
    return GrammarError(f"{keyword.name} {why}, at {keyword.at:.100}")


def required_of(schema: Schema) -> list[str]:
    """The properties that ``schema`` requires. Raises GrammarError."""
    names = schema.get("required", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise GrammarError("required must be a list of names")
    return names


def types_of(schema: Schema) -> list[str]:
    """The types that ``schema`` names, none for any. Raises GrammarError.

    OpenAPI's ``nullable`` says that null is one more.
    """
    types = schema.get("type", [])
    types = types if isinstance(types, list) else [types]
    if not all(isinstance(each, str) for each in types):
        raise GrammarError("type must be a name or a list of names")
    if types and schema.get("nullable") is True and "null" not in types:
        return [*types, "null"]
    return types


def number_of(keyword: Keyword) -> float:
    """The value, which must be a number that llguidance can count with. Raises GrammarError."""
    value = keyword.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(keyword, "must be a number")
    if not abs(value) < MAX_NUMBER:
        raise wrong(keyword, "is supported up to 2**53")
    return value
