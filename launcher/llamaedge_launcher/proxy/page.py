"""The web page: the files of a folder, before anything that asks for a key."""

from collections.abc import Collection
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..settings import PAGE

ROUTE = "/{page}"
"""The route of its files in the log and the metrics."""

_WORTH_COMPRESSING = 512  # bytes
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types rendered",
    )
)
_FOREIGN_POLICY = "frame-ancestors 'none'"
_HEADERS = {
    "cache-control": "no-cache",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Page:
    """An ASGI application that answers with the files of ``folder``, and asks ``app`` for others.

    ``/`` is its index.html. A path whose first part is one of ``reserved`` is never a file's.
    With ``last`` nothing but ``app``'s own routes lies behind, so that what is not there is
    the folder's 404.html, if it has one. Nothing outside of the folder is served, by links
    neither. The page of this package may load nothing but its own files, and no other site may
    show any page in a frame.
    """

    def __init__(
        self, app: ASGIApp, *, folder: Path, reserved: Collection[str], last: bool
    ) -> None:
        self._app = app
        self._files = StaticFiles(directory=folder, html=True)
        self._reserved = frozenset(reserved)
        self._last = last
        policy = _POLICY if folder == PAGE else _FOREIGN_POLICY
        headers = _HEADERS | {"content-security-policy": policy}
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        found = await self._find(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["record"].route = ROUTE

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._headers]}
            await send(message)

        ranged = any(name == b"range" for name, _ in scope["headers"])
        whole = found if ranged else GZipMiddleware(found, minimum_size=_WORTH_COMPRESSING)
        await whole(scope, receive, dressed)

    async def _find(self, scope: Scope) -> Response | None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return None
        parts = [part for part in scope["path"].replace("\\", "/").split("/") if part]
        if ".." in parts or (parts and parts[0].lower() in self._reserved):
            return None
        try:
            found = await self._files.get_response(self._files.get_path(scope), scope)
        except HTTPException:
            return None
        return None if found.status_code == 404 and not self._last else found
