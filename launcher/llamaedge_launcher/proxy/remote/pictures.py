"""A request's pictures that are URLs, put into it as data before a guest sees it."""

import asyncio
import base64
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import ApiError
from .fetch import Fetcher, FetchError
from .hosts import Hosts

OPTION = "--image-urls"
SECONDS = 30.0
"""For all pictures of a request."""
MOST = 16
"""Pictures of a request that are fetched."""
_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_STARTS = {
    b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"BM": "bmp",
}  # fmt: skip

_Take = Callable[[int], None]


class Pictures:
    """Fetches from the hosts that ``allowed`` names, nothing if it is empty."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._hosts = Hosts(allowed)
        self._fetcher = Fetcher(self._hosts)

    async def inline(self, fields: dict[str, Any], take: _Take) -> bytes | None:
        """The request of ``fields`` with its pictures in it; None if none is a URL.

        ``take`` is told of the bytes that come, as they will be in the request. Raises ApiError 400
        for a picture that cannot be had, and what ``take`` raises.
        """
        named = list(_named(fields.get("messages")))
        if not named:
            return None
        if not self._hosts:
            message = (
                "this server fetches no pictures: send it as data:image/png;base64,..., or start"
                f" the server with {OPTION} and the hosts that it may ask"
            )
            raise _refused(named[0][0], message)
        if len({url for _, _, url in named}) > MOST:
            raise _refused(named[MOST][0], f"a request may name at most {MOST} pictures by URL")
        found: dict[str, str] = {}
        try:
            async with asyncio.timeout(SECONDS):
                for where, picture, url in named:
                    if url not in found:
                        found[url] = await self._data(where, url, take)
                    picture["url"] = found[url]
        except TimeoutError:
            message = f"the pictures of the request do not come within {SECONDS:g} seconds"
            raise _refused(where, message) from None
        return json.dumps(fields, ensure_ascii=False).encode(errors="replace")

    async def _data(self, where: str, url: str, take: _Take) -> str:
        try:
            data = await self._fetcher.fetch(url, lambda size: take((size + 2) // 3 * 4))
        except FetchError as error:
            raise _refused(where, str(error)) from error
        kind = next((kind for start, kind in _STARTS.items() if data.startswith(start)), None)
        if kind is None:
            raise _refused(where, "what the URL leads to is not a PNG, JPEG, GIF or BMP file")
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _named(messages: object) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each picture that is a URL: where it stands, the object that has it as ``url``, the URL."""
    for number, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        for at, part in enumerate(content if isinstance(content, list) else ()):
            picture = part.get("image_url") if isinstance(part, dict) else None
            if isinstance(picture, str):
                picture = part["image_url"] = {"url": picture}
            if not isinstance(picture, dict) or not isinstance(url := picture.get("url"), str):
                continue
            scheme = _SCHEME.match(url)
            if scheme and scheme[1].lower() != "data":
                yield f"messages[{number}].content[{at}].image_url", picture, url.strip()


def _refused(where: str, message: str) -> ApiError:
    return ApiError(400, f"{where}: {message}", code="invalid_image_url", param=where)
