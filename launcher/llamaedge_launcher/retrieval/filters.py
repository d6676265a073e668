"""Filters on the attributes of files, as OpenAI's search takes them."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from .records import Attributes

Filter = Callable[[Attributes], bool]

_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_DEEPEST = 16
_COMBINED: Mapping[str, Callable[[Any], bool]] = {"and": all, "or": any}
_COMPARED = ("eq", "ne", *_ORDERS, "in", "nin")


class FilterError(ValueError):
    """A filter that means nothing; ``path`` is where, such as filters[0].key."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path} {message}")
        self.path = path


def parse(wanted: object, path: str = "filters", *, depth: int = 1) -> Filter:
    """The filter that JSON says.

    A file that has not the attribute passes ``ne`` and ``nin`` alone; so does one whose value is
    of another kind (text, number, boolean). Raises FilterError.
    """
    if not isinstance(wanted, dict):
        raise FilterError(path, "must be an object")
    if depth > _DEEPEST:
        raise FilterError(path, f"is nested more than {_DEEPEST} deep")
    kind = wanted.get("type")
    if isinstance(kind, str) and kind in _COMBINED:
        return _combined(wanted, path, depth)
    if not isinstance(kind, str) or kind not in _COMPARED:
        known = ", ".join((*_COMPARED, *_COMBINED))
        raise FilterError(f"{path}.type", f"is {kind!r}; it must be one of {known}")
    return _comparison(wanted, path)


def _combined(wanted: dict[str, Any], path: str, depth: int) -> Filter:
    _only(wanted, path, "type", "filters")
    parts = wanted.get("filters")
    if not isinstance(parts, list) or not parts:
        raise FilterError(f"{path}.filters", "must be an array of filters")
    filters = [
        parse(each, f"{path}.filters[{number}]", depth=depth + 1)
        for number, each in enumerate(parts)
    ]
    combine = _COMBINED[wanted["type"]]
    return lambda attributes: combine(each(attributes) for each in filters)


def _comparison(wanted: dict[str, Any], path: str) -> Filter:
    _only(wanted, path, "type", "key", "value")
    kind, key, value = wanted["type"], wanted.get("key"), wanted.get("value")
    if not isinstance(key, str):
        raise FilterError(f"{path}.key", "must be a string")
    if kind in ("in", "nin"):
        if not isinstance(value, list) or not all(map(_is_plain, value)):
            raise FilterError(f"{path}.value", "must be an array of strings and numbers")
        inside = kind == "in"
        return lambda found: any(_equal(found.get(key), each) for each in value) is inside
    if not _is_plain(value):
        raise FilterError(f"{path}.value", "must be a string, a number or a boolean")
    if kind in _ORDERS:
        compare = _ORDERS[kind]
        return lambda found: _alike(found.get(key), value) and compare(found.get(key), value)
    same = kind == "eq"
    return lambda found: _equal(found.get(key), value) is same


def _only(wanted: dict[str, Any], path: str, *known: str) -> None:
    for name in wanted:
        if name not in known:
            raise FilterError(f"{path}.{name}", "is not known")


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _equal(found: object, value: object) -> bool:
    return _alike(found, value) and found == value


def _alike(found: object, value: object) -> bool:
    """Whether both are texts, numbers or booleans: True is no 1 here."""
    return _kind(found) is _kind(value)


def _kind(value: object) -> type:
    return float if type(value) is int else type(value)
