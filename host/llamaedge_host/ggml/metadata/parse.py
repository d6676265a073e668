"""Metadata: the JSON that a guest configures a graph and its contexts with."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from ...nn.errno import NnErrno
from ..errors import GgmlError
from .keys import ALIASES, BY_NAME, KEYS, Change, Key

Value = bool | int | float | str

RANK = 4
"""LLAMA_POOLING_TYPE_RANK, which the key ``reranking`` stands for."""
_RANDOM_SEED = 2**32 - 1


class Settings:
    """A value for every key; a change makes a new one. ``settings["ctx-size"]`` reads one."""

    def __init__(self, values: Mapping[str, Value] | None = None) -> None:
        self._values = dict(values or DEFAULTS)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def with_changes(self, changes: Mapping[str, Value]) -> "Settings":
        """These settings with some changed."""
        return Settings({**self._values, **changes})

    def of_a_context(self) -> "Settings":
        """Those that each execution context has for itself; it has no others."""
        return Settings({name: self._values[name] for name in OWN_KEYS})

    def differences(self, other: "Settings") -> set[Change]:
        """What the change from these settings to ``other`` asks for."""
        theirs = other._values
        if theirs == self._values:
            return set()
        return {
            BY_NAME[name].change for name, value in self._values.items() if theirs[name] != value
        }


DEFAULTS: dict[str, Value] = {key.name: key.default for key in KEYS}


OWN_KEYS = tuple(key.name for key in KEYS if key.change is Change.PROMPT)
"""The keys that an execution context has for itself; all others are its graph's."""


def parse(text: str) -> dict[str, Value]:
    """The values that the metadata ``text`` gives to keys of ours; unknown keys are ignored.

    Raises GgmlError as ``read`` and ``values`` do.
    """
    return values(read(text))


def read(text: str) -> dict[str, Any]:
    """The JSON object that ``text`` is; of two values with one name the first counts.

    Raises GgmlError: INVALID_ENCODING for text that is not JSON, INVALID_ARGUMENT for JSON that
    is not an object.
    """
    try:
        document = json.loads(text, object_pairs_hook=_first, parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise GgmlError(
            NnErrno.INVALID_ENCODING,
            f"the metadata is not JSON: {str(error) or 'nested too deeply'}",
        ) from None
    if not isinstance(document, dict):
        raise GgmlError(NnErrno.INVALID_ARGUMENT, "the metadata is not a JSON object")
    return document


def values(document: Mapping[str, object]) -> dict[str, Value]:
    """The values in ``document`` for keys of ours; its other names are ignored.

    Raises GgmlError (INVALID_ARGUMENT) for a value of a wrong type or out of its range.
    """
    found: dict[str, Value] = {}
    for name, given in document.items():
        if key := BY_NAME.get(name):
            found[name] = _value(key, given)
        elif (key := ALIASES.get(name)) and given is not None and key.name not in document:
            found[key.name] = _value(key, given)
    if found.get("reranking"):
        found |= {"embedding": True, "pooling-type": RANK}
    return found


def _first(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        made.update(reversed(pairs))
    return made


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _value(key: Key, given: object) -> Value:
    value = given
    if key.kind is float and type(given) is int and abs(given) < 2**63:
        value = float(given)
    if type(value) is not key.kind:
        _refuse(key, f"{given!r:.60} is not of type {_NAMES[key.kind]}")
    if isinstance(value, str):
        return _string(key, value)
    if isinstance(value, bool):
        return value
    assert isinstance(value, int | float)
    if key.clamped:
        value = max(key.low, value)
    if not key.low <= value <= key.high or math.isinf(value):
        _refuse(key, f"{given!r:.60} is not between {key.low:g} and {key.high:g}")
    return _RANDOM_SEED if key.name == "seed" and value < 0 else value


def _string(key: Key, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise GgmlError(
            NnErrno.INVALID_ENCODING, f"the option {key.name} cannot be used: it is not Unicode"
        ) from None
    if "\0" in value:
        _refuse(key, "it contains a NUL")
    if key.choices and value not in key.choices:
        _refuse(key, f"{value!r:.60} is not one of {', '.join(key.choices)}")
    return value


_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def _refuse(key: Key, why: str) -> NoReturn:
    raise GgmlError(NnErrno.INVALID_ARGUMENT, f"the option {key.name} cannot be used: {why}")
