"""Lists a page at a time: what a query may ask for, and OpenAI's object of a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from .describe import BOOLEAN, STRING, Schema, array, const, enum, nullable, record
from .errors import ApiError

ORDERS = ("asc", "desc")


def asked(most: int) -> dict[str, Schema]:
    """The query of a list whose pages have at most ``most`` items."""
    limit = {"type": "integer", "minimum": 1, "maximum": most}
    return {"limit": limit, "order": enum(*ORDERS), "after": STRING}


def described(item: Schema) -> Schema:
    """A page of ``item``s."""
    return record(
        {
            "object": const("list"),
            "data": array(item),
            "first_id": nullable(STRING),
            "last_id": nullable(STRING),
            "has_more": BOOLEAN,
        }
    )


def limit_of(query: Mapping[str, str], *, most: int, otherwise: int) -> int:
    """How many items are wanted, ``otherwise`` where it is not said. Raises ApiError 400."""
    text = query.get("limit", str(otherwise))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise _wrong("limit", f"{text!r} is not a whole number from 1 to {most}")
    return int(text)


def newest_first(query: Mapping[str, str]) -> bool:
    """Whether the newest items come first, as they do unless it is said. Raises ApiError 400."""
    order = query.get("order", "desc")
    if order not in ORDERS:
        raise _wrong("order", f"{order!r} is not {' or '.join(ORDERS)}")
    return order == "desc"


def page(data: Sequence[Mapping[str, Any]], *, more: bool) -> dict[str, Any]:
    """The page of ``data``, with whether there is ``more``."""
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }


def _wrong(field: str, reason: str) -> ApiError:
    return ApiError(400, f"{field}: {reason}", code="invalid_value", param=field)
