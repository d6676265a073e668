"""Pictures and recordings among a conversation's contents: a private character takes their place.

They are as OpenAI's API has them: a picture is a data: URI, a recording its base64.
"""

import base64
import re
from collections.abc import Callable
from typing import Any, NoReturn

from ...nn.errno import NnErrno
from ..errors import GgmlError

_DATA = re.compile(r"data:image/[^;,]*;base64,", re.IGNORECASE)


class Recording(bytes):
    """A sound file, where a picture could be as well."""


def take(messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[tuple[Any, bytes]]]:
    """The messages with an empty text part in each one's place; those parts, and the files.

    Raises GgmlError (INVALID_ARGUMENT) for a picture that is no data URI of base64, and for a
    recording that is no base64.
    """
    taken: list[tuple[Any, bytes]] = []

    def part(given: Any) -> Any:
        kind = given.get("type") if isinstance(given, dict) else None
        if not isinstance(kind, str) or kind not in _FILES:
            return given
        place = {"type": "text", "text": ""}
        taken.append((place, _FILES[kind](given.get(kind))))
        return place

    changed = [
        {**message, "content": [part(each) for each in content]}
        if isinstance(content := message.get("content"), list)
        else message
        for message in messages
    ]
    return changed, taken


def _picture(picture: Any) -> bytes:
    url = picture.get("url") if isinstance(picture, dict) else picture
    if not isinstance(url, str) or not (start := _DATA.match(url)):
        _refuse("a picture", "it is no data: URI of a picture")
    return _decoded("a picture", url[start.end() :])


def _recording(recording: Any) -> Recording:
    data = recording.get("data") if isinstance(recording, dict) else None
    if not isinstance(data, str):
        _refuse("a recording", "it has no data")
    return Recording(_decoded("a recording", data))


_FILES: dict[str, Callable[[Any], bytes]] = {"image_url": _picture, "input_audio": _recording}


def _decoded(what: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        _refuse(what, f"its base64 cannot be read: {error}")


def _refuse(what: str, why: str) -> NoReturn:
    raise GgmlError(NnErrno.INVALID_ARGUMENT, f"{what} of the conversation cannot be used: {why}")
