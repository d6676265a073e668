"""Anthropic's models: https://docs.claude.com/en/api/models-list.

Their paths are those of OpenAI's, so it is a header that says whose answer is wanted.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from ..describe import BOOLEAN, STRING, array, const, nullable, record

Json = dict[str, Any]

MODEL = record(
    {
        "type": const("model"),
        "id": STRING,
        "display_name": STRING,
        "created_at": STRING,
        "lifecycle": const("active"),
    }
)
PAGE = record(
    {
        "data": array(MODEL),
        "has_more": BOOLEAN,
        "first_id": nullable(STRING),
        "last_id": nullable(STRING),
    }
)


def wanted(request: Request) -> bool:
    """Whether one of Anthropic's clients asks, all of which say which version they speak."""
    return "anthropic-version" in request.headers


def model(id_: str, name: str, created: int) -> Json:
    """A model that is there since ``created``, in seconds of the Unix epoch."""
    since = datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z")
    return {
        "type": "model",
        "id": id_,
        "display_name": name,
        "created_at": since,
        "lifecycle": "active",
    }


def page(models: Sequence[Json]) -> Json:
    """All of ``models``, as the only page."""
    ids = [each["id"] for each in models] or [None]
    return {"data": list(models), "has_more": False, "first_id": ids[0], "last_id": ids[-1]}
