"""Reading a request field by field, where a field that is not obeyed is named."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import ApiError

UNKNOWN = "x-unknown-fields"
"""The header of an answer that names the fields of the request that do nothing here."""
_MOST_NAMED, _LONGEST_NAMED = 16, 64
_CALLED = {
    bool: "true or false", int: "a whole number", float: "a number", str: "a string",
    list: "a list", dict: "an object", bytes: "a file",
}  # fmt: skip


class Fields:
    """An object of a request, ``where`` it stands in it; null is as good as nothing."""

    def __init__(self, value: Any, where: str = "") -> None:
        if not isinstance(value, dict):
            raise wrong(where, "it must be an object")
        self._values = value
        self._where = where

    def take(self, name: str, *kinds: type) -> Any:
        """The value, which is of one of ``kinds``, or None. Raises ApiError."""
        value = self._values.get(name)
        if value is None:
            return None
        if float in kinds and isinstance(value, int) and not isinstance(value, bool):
            return value
        if int in kinds and isinstance(value, float) and value.is_integer():
            return int(value)
        if type(value) not in kinds:
            wanted = " or ".join(_CALLED[kind] for kind in kinds)
            raise wrong(self.path(name), f"it must be {wanted}")
        return value

    def need(self, name: str, *kinds: type) -> Any:
        """As take(), but it must be there."""
        value = self.take(name, *kinds)
        if value is None:
            message = f"the request has no {self.path(name)!r}"
            raise ApiError(400, message, code="missing_required_parameter", param=self.path(name))
        return value

    def one(self, name: str, allowed: Iterable[str], *, otherwise: str | None = None) -> str | None:
        """The value, which must be one of ``allowed``."""
        value: str | None = self.take(name, str)
        if value is None:
            return otherwise
        if value not in allowed:
            raise wrong(self.path(name), f"{value!r} is not one of {', '.join(allowed)}")
        return value

    def objects(self, name: str) -> list["Fields"]:
        """The list's items, all of which must be objects."""
        found = self.take(name, list) or ()
        return [Fields(each, f"{self.path(name)}[{n}]") for n, each in enumerate(found)]

    def texts(self, name: str) -> list[str] | None:
        """The list, all of whose items must be strings."""
        found: list[str] | None = self.take(name, list)
        for number, each in enumerate(found or ()):
            if not isinstance(each, str):
                raise wrong(f"{self.path(name)}[{number}]", "it must be a string")
        return found

    def others(self, known: Iterable[str]) -> list[str]:
        """Where the fields are that are not ``known``: they do nothing here, and are told."""
        return [
            self.path(name)
            for name, value in self._values.items()
            if name not in known and value is not None
        ]

    def only(self, known: Iterable[str]) -> None:
        """Raise ApiError for a field that is not ``known``."""
        for name, value in self._values.items():
            if name not in known and value is not None:
                raise wrong(self.path(name), "this server has no such setting")

    def refuse(self, reasons: dict[str, str]) -> None:
        """Raise ApiError for a field that cannot be obeyed, with the reason."""
        for name, reason in reasons.items():
            if self._values.get(name) not in (None, False, "", [], {}):
                raise wrong(self.path(name), reason)

    def path(self, name: str) -> str:
        """The field's place in the request."""
        return f"{self._where}.{name}" if self._where else name


def named(unknown: Sequence[str]) -> str:
    """The fields' names as the header UNKNOWN has them, as many as it should."""
    words = [re.sub(r"[^!-+\--~]", "?", each)[:_LONGEST_NAMED] for each in unknown]
    return ", ".join([*words[:_MOST_NAMED], *(["..."] if words[_MOST_NAMED:] else [])])


def wrong(field: str, reason: str) -> ApiError:
    """The 400 that names ``field``."""
    return ApiError(400, f"{field}: {reason}", code="invalid_value", param=field)
