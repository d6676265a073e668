"""A request's pictures that are URLs, put into it as data before a guest sees it."""

import asyncio
import base64
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import ApiError
from .fetch import Fetcher, FetchError
from .hosts import Hosts
from .local import SCHEME, LocalFiles

OPTION = "--image-urls"
SECONDS = 30.0
"""For all pictures of a request."""
MOST = 16
"""Pictures of a request that are fetched."""
_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_STARTS = {
    b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"BM": "bmp",
}  # fmt: skip

_NOTHING = (
    "this server fetches no pictures: send it as data:image/png;base64,..., or start the server"
    f" with {OPTION} and the hosts that it may ask, for file:// with --media-path and a folder"
)

_Take = Callable[[int], None]


class Pictures:
    """Fetches from the hosts that ``allowed`` names, nothing if it is empty.

    Pictures of this machine are those below ``folder``, none without one.
    """

    def __init__(self, allowed: Sequence[str], folder: Path | None = None) -> None:
        self._hosts = Hosts(allowed)
        self._fetcher = Fetcher(self._hosts)
        self._local = None if folder is None else LocalFiles(folder)

    async def inline(self, fields: dict[str, Any], take: _Take) -> bytes | None:
        """The request of ``fields`` with its pictures in it; None if none is a URL.

        ``take`` is told of the bytes that come, as they will be in the request. Raises ApiError 400
        for a picture that cannot be had, and what ``take`` raises.
        """
        named = list(_named(fields.get("messages")))
        if not named:
            return None
        if refused := next((each for each in named if not self._may(each[2])), None):
            raise _refused(refused[0], _NOTHING)
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

    def _may(self, url: str) -> bool:
        """Whether pictures are taken from anywhere that ``url`` may be."""
        return self._local is not None if _local(url) else bool(self._hosts)

    async def _data(self, where: str, url: str, take: _Take) -> str:
        def counted(size: int) -> None:
            take((size + 2) // 3 * 4)

        try:
            if self._local is not None and _local(url):
                data = await asyncio.to_thread(self._local.read, url)
                counted(len(data))
            else:
                data = await self._fetcher.fetch(url, counted)
        except FetchError as error:
            raise _refused(where, str(error)) from error
        kind = picture_kind(data)
        if kind is None:
            raise _refused(where, "what the URL leads to is not a PNG, JPEG, GIF or BMP file")
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _local(url: str) -> bool:
    scheme = _SCHEME.match(url)
    return scheme is not None and scheme[1].lower() == SCHEME


def picture_kind(data: bytes) -> str | None:
    """Which of the formats that hosts read a file's beginning is of, None for another."""
    return next((kind for start, kind in _STARTS.items() if data.startswith(start)), None)


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
