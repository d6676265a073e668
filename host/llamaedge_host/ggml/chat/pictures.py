"""Pictures among a conversation's contents: taken out, and a private character put there."""

import base64
import re
from typing import Any, NoReturn

from ...nn.errno import NnErrno
from ..errors import GgmlError

_DATA = re.compile(r"data:image/[^;,]*;base64,", re.IGNORECASE)


def take(messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[tuple[Any, bytes]]]:
    """The messages with an empty text part in each picture's place; those parts, and the files.

    Raises GgmlError (INVALID_ARGUMENT) for a picture that is no data URI of base64.
    """
    taken: list[tuple[Any, bytes]] = []

    def part(given: Any) -> Any:
        if not isinstance(given, dict) or given.get("type") != "image_url":
            return given
        place = {"type": "text", "text": ""}
        taken.append((place, _file(given.get("image_url"))))
        return place

    changed = [
        {**message, "content": [part(each) for each in content]}
        if isinstance(content := message.get("content"), list)
        else message
        for message in messages
    ]
    return changed, taken


def _file(picture: Any) -> bytes:
    url = picture.get("url") if isinstance(picture, dict) else picture
    if not isinstance(url, str) or not (start := _DATA.match(url)):
        _refuse("it is no data: URI of a picture")
    try:
        return base64.b64decode(url[start.end() :], validate=True)
    except ValueError as error:
        _refuse(f"its base64 cannot be read: {error}")


def _refuse(why: str) -> NoReturn:
    raise GgmlError(
        NnErrno.INVALID_ARGUMENT, f"a picture of the conversation cannot be used: {why}"
    )
